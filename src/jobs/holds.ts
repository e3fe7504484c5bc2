import type { JobSpec } from './spec.ts';

const SHORTEST_HOLD_MS = 4_000;
const LONGEST_HOLD_MS = 300_000;

/** What a worker stops short of the leader's deadline, for clocks that run at different speeds and timers that fire late. */
export const HOLD_MARGIN_MS = 500;

/** Group time is written down at least so often while attempts run (P5). Unit: ms. */
export const TICK_MS = 1_000;

/**
 * How long an attempt stays with a node that has fallen silent. An hour of work is not thrown away for a moment without network.
 *
 * - H1 The leader computes a hold at the arrival of a renewal and grants it in the answer; the worker counts it from when it *sent* that
 *   renewal, less {@link HOLD_MARGIN_MS}. Sent is before arrived, so the worker stops before the leader gives the job away.
 * - H2 Run time is measured in agreed group time, which never goes back and is written down every {@link TICK_MS}: a later leader begins
 *   with at least what an earlier one knew, so it computes at least what that one granted, and it counts from its own election, which is
 *   after every renewal that an earlier leader confirmed.
 *
 * @param runMs group time since the assignment, at the latest renewal.
 */
export function holdMs(hold: JobSpec['hold'], runMs: number): number {
  if (hold === 'keep') return Number.MAX_SAFE_INTEGER;
  if (typeof hold === 'number') return hold;
  return Math.min(LONGEST_HOLD_MS, Math.max(SHORTEST_HOLD_MS, Math.floor(runMs / 10)));
}
