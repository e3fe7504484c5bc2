import { AspenError, encode, toWireError } from '../base/index.ts';
import { invalid } from '../lease/machine/index.ts';
import { packSpec } from './packing.ts';
import type { SubmitItem, SubmitResult } from './submission.ts';
import { orderOf } from './submit-order.ts';

/** Jobs of one part, as they stand in the log; a command takes half as much again. Unit: bytes. */
export const SUBMIT_PART_BYTES = 2 * 2 ** 20;

/**
 * Submits what is too long for one command as several, one after the other, parents before their children.
 *
 * - J9 What a part that was submitted before under the same request id has answered counts for as many jobs as it answered for, wherever
 *   the parts of this call end: a repetition takes nothing twice.
 *
 * @param propose submits the jobs of a part, of which the first has place `at` in the order.
 * @returns an outcome for each job, in the order given. Once a part was taken, the failure of a later one is the outcome of its jobs and of
 * those behind it. @throws AspenError when the first part fails.
 */
export async function submitInParts(
  jobs: readonly SubmitItem[],
  propose: (part: readonly SubmitItem[], at: number) => Promise<readonly SubmitResult[]>,
): Promise<readonly SubmitResult[]> {
  const { order, cycles } = orderOf(jobs, () => false);
  const results: SubmitResult[] = [];
  for (const [at, ids] of cycles) {
    results[at] = { error: toWireError(invalid('dependsOn', `waits for itself: ${ids.join(' → ')}`)) };
  }
  const sorted = order.map((at) => jobs[at] as SubmitItem);
  for (let done = 0; done < sorted.length; ) {
    const part = sorted.slice(done, endOfPart(sorted, done));
    const outcomes = await outcomesOf(() => propose(part, done), {
      isFirst: done === 0,
      left: sorted.length - done,
    });
    for (const [offset, outcome] of outcomes.entries()) {
      const at = order[done + offset];
      if (at !== undefined) results[at] = outcome;
    }
    done += Math.max(1, outcomes.length);
  }
  return results;
}

/** At least one job, and as many as fit. */
function endOfPart(jobs: readonly SubmitItem[], start: number): number {
  let bytes = 0;
  for (let end = start; end < jobs.length; end += 1) {
    const { id, spec } = jobs[end] as SubmitItem;
    bytes += encode([id, packSpec(spec)]).length;
    if (bytes > SUBMIT_PART_BYTES && end > start) return end;
  }
  return jobs.length;
}

async function outcomesOf(
  work: () => Promise<readonly SubmitResult[]>,
  { isFirst, left }: { readonly isFirst: boolean; readonly left: number },
): Promise<readonly SubmitResult[]> {
  try {
    return await work();
  } catch (error) {
    if (isFirst || !(error instanceof AspenError)) throw error;
    return Array.from({ length: left }, () => ({ error: toWireError(error) }));
  }
}
