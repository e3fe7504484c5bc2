import type { Job } from './types.ts';

/** @returns the result where it is that of the latest attempt: a record keeps an earlier one until an attempt ends with a result of its own. */
export function resultOfLatest({
  attempt,
  history,
  result,
}: Pick<Job, 'attempt' | 'history' | 'result'>): unknown {
  const last = history.at(-1);
  return last?.['attempt'] === attempt && last['outcome'] !== 'lost' ? result : null;
}
