import type { PeerId } from '../base/index.ts';
import type { JobSpec } from './spec.ts';

export type JobState = 'scheduled' | 'queued' | 'running' | 'cancelling' | 'succeeded' | 'dead' | 'cancelled';

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly exitCode?: number;
}

export type AttemptOutcome = 'succeeded' | 'failed' | 'lost' | 'cancelled';

/** One attempt that has ended. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly node: PeerId;
  readonly fencingToken: number;
  /** Wall times. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: AttemptOutcome;
  readonly error: JobError | null;
}

/** The attempt that holds the job now. */
export interface RunningAttempt {
  readonly attempt: number;
  readonly node: PeerId;
  readonly sessionId: string;
  /** The attached worker on that node to which it was given; null for what the node runs itself. */
  readonly pool: string | null;
  /** Position of the assignment in the group's history: grows with each attempt of a job and never repeats. */
  readonly fencingToken: number;
  readonly startedAt: number;
  /** Group time. */
  readonly startedGroupMs: number;
}

/** All the group knows about a job. Its indexes follow from it (`record-store.ts`). */
export interface JobRecord {
  readonly id: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  /** Position of its submission: what orders jobs of one priority, and lists. */
  readonly position: number;
  /** Place among the jobs that were submitted by the same command. */
  readonly offset: number;
  readonly submittedAt: number;
  /** Number of the latest attempt; 0 before the first. */
  readonly attempt: number;
  readonly running: RunningAttempt | null;
  /** Group time at which a `scheduled` job is due. */
  readonly dueGroupMs: number | null;
  readonly failureCount: number;
  readonly lossCount: number;
  readonly finishedAt: number | null;
  /** Group time after which a final record is removed. */
  readonly expiresGroupMs: number | null;
  readonly result: unknown;
  readonly error: JobError | null;
  readonly cancelReason: string | null;
  /** The latest {@link HISTORY_LIMIT} attempts that have ended, oldest first. */
  readonly history: readonly AttemptRecord[];
}

export const HISTORY_LIMIT = 50;

const FINAL: ReadonlySet<JobState> = new Set(['succeeded', 'dead', 'cancelled']);

export function isFinal(state: JobState): boolean {
  return FINAL.has(state);
}
