import { invariant } from '../base/index.ts';
import type { JobState } from './record.ts';

/**
 * Every move of a job. Absent means illegal: a job that runs is only taken back or ended by its attempt, and a final one stays as it is
 * (J3) unless somebody asks for one more run. A group stays `running` or `cancelling` as its members end. `none` is before the submission.
 */
const AGAIN: readonly JobState[] = ['blocked', 'scheduled', 'queued'];
const MOVES: Readonly<Record<JobState | 'none', readonly JobState[]>> = {
  none: ['blocked', 'scheduled', 'queued', 'dead', 'skipped'],
  blocked: ['blocked', 'scheduled', 'queued', 'paused', 'dead', 'skipped', 'cancelled'],
  scheduled: ['scheduled', 'queued', 'paused', 'dead', 'cancelled'],
  queued: ['running', 'paused', 'dead', 'cancelled'],
  running: ['running', 'succeeded', 'scheduled', 'queued', 'dead', 'cancelling'],
  cancelling: ['cancelling', 'cancelled', 'succeeded', 'dead'],
  paused: ['paused', 'blocked', 'scheduled', 'queued', 'dead', 'skipped', 'cancelled'],
  succeeded: [],
  dead: AGAIN,
  cancelled: AGAIN,
  skipped: AGAIN,
};

export function mayMove(from: JobState | null, to: JobState): boolean {
  return MOVES[from ?? 'none'].includes(to);
}

/** @throws InvariantError: a move that is not in the table is a fault of ours, not of a caller. */
export function checkMove(jobId: string, from: JobState | null, to: JobState): void {
  invariant(mayMove(from, to), () => `${jobId} may not move from ${from ?? 'nothing'} to ${to}`);
}
