import { type AspenError, fromWireError, toWireError, type WireError } from '../../base/index.ts';

/** What became of one command: its result, or the refusal that undid it. The same on every replica, hence recorded. */
export type CommandOutcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: WireError };

/** The form in which an outcome is stored and sent: two items instead of named fields. */
export type WireOutcome = readonly [ok: 0 | 1, value: unknown];

export function accepted(result: unknown): CommandOutcome {
  return { ok: true, result: result ?? null };
}

export function refused(error: AspenError): CommandOutcome {
  return { ok: false, error: { ...toWireError(error), outcome: 'not-applied' } };
}

export function toWireOutcome(outcome: CommandOutcome): WireOutcome {
  return outcome.ok ? [1, outcome.result] : [0, outcome.error];
}

/** @param wire own storage, or a peer's answer: what does not have the shape becomes an `INTERNAL` refusal. */
export function fromWireOutcome(wire: unknown): CommandOutcome {
  const [ok, value] = Array.isArray(wire) ? wire : [];
  if (ok === 1) return { ok: true, result: value };
  const error = fromWireError(value);
  return {
    ok: false,
    error: { code: error.code, message: error.message, details: error.details, outcome: error.outcome },
  };
}
