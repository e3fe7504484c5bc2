/** Something happened that must never happen. */
export class LawBroken extends Error {
  override readonly name = 'LawBroken';

  constructor(broken: readonly string[]) {
    super(broken.join('\n'));
  }
}

/** Something that must happen in time did not. */
export class Stuck extends Error {
  override readonly name = 'Stuck';
}

export type Outcome = 'ok' | 'wrong' | 'stuck' | 'crashed';

export const EXIT_CODES: Readonly<Record<Outcome, number>> = { ok: 0, wrong: 1, stuck: 2, crashed: 3 };

/** @param error what a run ended with; null when with nothing. */
export function outcomeOf(error: unknown): Outcome {
  if (error === null) return 'ok';
  if (error instanceof LawBroken) return 'wrong';
  return error instanceof Stuck ? 'stuck' : 'crashed';
}
