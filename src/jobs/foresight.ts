import { HIGHEST_PRIORITY } from './job-places.ts';
import { Lines } from './lines.ts';
import { numberKey } from './machine-port.ts';
import { type PlannedAssignment, placementOf } from './plan.ts';
import { SPEC_BASE } from './spec.ts';
import type { SubmitItem } from './submission.ts';

/** What became of a submission is known by then, or it was refused, which nobody tells. Unit: ms, monotonic. */
const FORGET_MS = 1_000;

/**
 * Jobs whose assignment is on its way into the log, and those whose submission is: where a free slot waits for a job already, it is assigned in
 * the entry that accepts it.
 *
 * - P17 A job is placed ahead only where none waits, and none that came before it is about to: what was submitted and found no slot is
 *   waited for until it is agreed, so that nobody overtakes it.
 */
export class Foresight {
  /** They stand in no line. */
  readonly #assigned = new Set<string>();
  /** The last one of each submission that found no slot for some job, and when it was let in. */
  readonly #waiting = new Map<string, number>();

  /** Whether some job is about to wait. */
  get isAnyWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Takes in what a plan gives away. */
  begin(planned: readonly PlannedAssignment[]): void {
    for (const { job } of planned) this.#assigned.add(job.id);
  }

  /** Takes in a submission, once what was found for it has begun. */
  note(jobs: readonly SubmitItem[], nowMs: number): void {
    const last = jobs.findLast(({ id, spec }) => spec.delayMs === 0 && !this.#assigned.has(id));
    if (last !== undefined) this.#waiting.set(last.id, nowMs);
  }

  /** A job is there. @returns whether its assignment is on its way. */
  accepted(id: string): boolean {
    if (this.#waiting.size > 0) this.#waiting.delete(id);
    return this.#assigned.has(id);
  }

  /** Whether its assignment is on its way, and it has not come to wait again since. */
  isAssigned(id: string): boolean {
    return this.#assigned.has(id);
  }

  /** It is in a line, whatever becomes of its assignment. */
  waits(id: string): void {
    this.#assigned.delete(id);
  }

  /** It is known what became of the assignments. */
  end(planned: readonly PlannedAssignment[]): void {
    for (const { job } of planned) this.#assigned.delete(job.id);
  }

  /** To be called now and then. */
  forget(nowMs: number): void {
    for (const [id, sinceMs] of this.#waiting) if (nowMs - sinceMs > FORGET_MS) this.#waiting.delete(id);
  }
}

/** @returns lines of those that will be ready as soon as they are accepted, the most urgent first. */
export function linesAhead(jobs: readonly SubmitItem[]): Lines {
  const lines = new Lines();
  for (const [at, { id, spec }] of jobs.entries()) {
    const isReady = spec.delayMs === 0 && spec.runAtMs === null && spec.dependsOn.length === 0;
    if (!isReady || spec.group !== null || spec.affinity !== SPEC_BASE.affinity) continue;
    lines.add(
      { id, key: numberKey(HIGHEST_PRIORITY - spec.priority) + numberKey(at) },
      placementOf(spec),
      spec,
    );
  }
  return lines;
}
