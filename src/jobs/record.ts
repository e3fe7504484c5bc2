import type { PeerId } from '../base/index.ts';
import type { IndexedSpec, JobSpec } from './spec.ts';

/**
 * Where a job stands. A failed attempt that is followed by another leaves it `scheduled` (or `queued`, without a pause), with `error` set:
 * what the interface calls `failed` is no state of its own.
 */
export type JobState =
  | 'blocked'
  | 'scheduled'
  | 'queued'
  | 'running'
  | 'cancelling'
  | 'paused'
  | 'succeeded'
  | 'dead'
  | 'cancelled'
  | 'skipped';

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly exitCode?: number;
  /** Least pause before the next run that was asked for. Unit: ms. */
  readonly retryAfterMs?: number | undefined;
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
  /** Nodes of a group, by rank; absent where it ran on one. */
  readonly nodes?: readonly PeerId[];
}

/** The part of a group's attempt that runs on one node. Its rank is its place among the members. */
export interface GroupMember {
  readonly node: PeerId;
  readonly sessionId: string;
  readonly pool: string | null;
  /** How it ended; null while it is at it. */
  readonly outcome: AttemptOutcome | null;
}

/** An attempt on several nodes at once. */
export interface RunningGroup {
  readonly members: readonly GroupMember[];
  /** What the attempt comes to once the others have ended; null while all do well. */
  readonly verdict:
    | { readonly kind: 'fail'; readonly error: JobError; readonly result: unknown }
    | { readonly kind: 'lose'; readonly reason: string; readonly isHandedOver: boolean }
    | { readonly kind: 'cancelled'; readonly result: unknown }
    | null;
  /** What rank 0 came to. */
  readonly result: unknown;
}

/** The attempt that holds the job now; of a group, node, session and pool are those of rank 0. */
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
  /** Null where it runs on one node. */
  readonly group: RunningGroup | null;
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
  /**
   * Group time at which a `scheduled` job is due, or at which a `queued` one has waited too long. Null for a scheduled job that waits for
   * the instant of its spec. A paused job keeps what it will still wait for.
   */
  readonly dueGroupMs: number | null;
  /** Group time at which it was first ready for a node, from which it ages; null before. */
  readonly readyGroupMs: number | null;
  /** Places in `spec.dependsOn` of what it still waits for; where a dependency ended it, of those that were open then. */
  readonly unmet: readonly number[];
  /** What a `cancelling` job dies of; null where somebody cancelled it. */
  readonly ending: JobError | null;
  /** Size of the spec as stored. */
  readonly specBytes: number;
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

/** A record of which no more of the spec is known than `S`. */
export type IndexedRecord<S extends IndexedSpec = IndexedSpec> = Omit<JobRecord, 'spec'> & {
  readonly spec: S;
};

export const HISTORY_LIMIT = 50;

const FINAL: ReadonlySet<JobState> = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

export function isFinal(state: JobState): boolean {
  return FINAL.has(state);
}
