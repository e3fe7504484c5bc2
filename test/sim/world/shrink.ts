import type { Outcome } from './outcome.ts';
import type { Reduction } from './reduction.ts';

/** Runs that a search may take. */
const TRIES_LIMIT = 60;
const FEWEST_NODES = 3;
const SHORTER = [0.2, 0.4, 0.6, 0.8];

export interface ShrinkStart {
  readonly outcome: Outcome;
  readonly nodeCount: number;
  readonly stepCount: number;
  /** Unit: ms. */
  readonly forMs: number;
}

/** How a reduced run ended. */
export type Attempt = (reduction: Reduction) => Promise<Outcome>;

/**
 * Looks for less of a failing run that fails in the same way: fewer nodes, then a shorter time, then fewer faults. Greedy, and bounded, so
 * what it finds is small and need not be the smallest.
 */
export async function shrink(start: ShrinkStart, attempt: Attempt): Promise<Reduction> {
  let tries = 0;
  const fails = async (reduction: Reduction): Promise<boolean> => {
    tries += 1;
    return tries <= TRIES_LIMIT && (await attempt(reduction)) === start.outcome;
  };
  let found: Reduction = {};
  for (let nodeCount = FEWEST_NODES; nodeCount < start.nodeCount; nodeCount += 1) {
    if (!(await fails({ nodeCount }))) continue;
    found = { nodeCount };
    break;
  }
  for (const share of SHORTER) {
    const shorter = { ...found, forMs: Math.round(start.forMs * share) };
    if (!(await fails(shorter))) continue;
    found = shorter;
    break;
  }
  const all = Array.from({ length: start.stepCount }, (_, at) => at);
  const steps = await fewest(all, (kept) => fails({ ...found, steps: kept }));
  return steps.length === all.length ? found : { ...found, steps };
}

/** Drops halves, then quarters, down to single items, as long as what is left still fails. */
async function fewest(
  items: readonly number[],
  fails: (kept: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let kept = items;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.length; ) {
      const fewer = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (await fails(fewer)) kept = fewer;
      else from += size;
    }
  }
  return kept;
}
