/** A broken invariant. Nobody catches it: the process (or the simulated node) stops, because it no longer knows what is true. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** @throws InvariantError naming what must hold; `message` is built only when it does not. */
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof message === 'string' ? message : message());
}

/** Closes a switch over a union: a compile error where a case is missing, an InvariantError where foreign data got past a border. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`);
}
