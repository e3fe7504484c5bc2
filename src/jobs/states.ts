import { invariant } from '../base/index.ts';
import type { JobState } from './record.ts';

/**
 * Every move of a job. Absent means illegal: a final job stays as it is (J3), a job that runs is only taken back or ended by its attempt.
 * `none` is before the submission.
 */
const MOVES: Readonly<Record<JobState | 'none', readonly JobState[]>> = {
  none: ['queued', 'scheduled'],
  scheduled: ['queued', 'cancelled'],
  queued: ['running', 'cancelled'],
  running: ['succeeded', 'scheduled', 'queued', 'dead', 'cancelling'],
  cancelling: ['cancelled', 'succeeded'],
  succeeded: [],
  dead: [],
  cancelled: [],
};

export function mayMove(from: JobState | null, to: JobState): boolean {
  return MOVES[from ?? 'none'].includes(to);
}

/** @throws InvariantError: a move that is not in the table is a fault of ours, not of a caller. */
export function checkMove(jobId: string, from: JobState | null, to: JobState): void {
  invariant(mayMove(from, to), () => `${jobId} may not move from ${from ?? 'nothing'} to ${to}`);
}
