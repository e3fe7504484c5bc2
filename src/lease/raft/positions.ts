import type { LogIndex, Term } from '../../base/brand.ts';

/** @returns `n` as a position in the log; arithmetic on positions goes through here. */
export function logIndex(n: number): LogIndex {
  return n as LogIndex;
}

/** @returns `n` as a term. */
export function termOf(n: number): Term {
  return n as Term;
}
