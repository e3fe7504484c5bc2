import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { Message } from './messages.ts';
import type { ProgressMode } from './progress.ts';
import type { ConfirmedRead } from './read-index.ts';
import type { Configuration, Entry, HardState } from './types.ts';

/** One atomic write: cut the log from `truncateFrom` on, append `entries`, replace the hard state. */
export interface Persist {
  readonly hardState: HardState | null;
  readonly truncateFrom: LogIndex | null;
  readonly entries: readonly Entry[];
}

/** Duties for the driver, each handed out exactly once. Readies are written in the order of their sequence. */
export interface Ready {
  readonly sequence: number;
  /** Null: nothing to write, and nothing to report with `persisted`. */
  readonly persist: Persist | null;
  /** May leave at once, also before `persist` is durable. */
  readonly send: readonly Message[];
  /** May leave only when this Ready's `persist` is durable. Empty when `persist` is null. */
  readonly sendAfterPersist: readonly Message[];
  /** Committed and durable here: to apply, in order. All kinds of entries. */
  readonly commit: readonly Entry[];
  /** Serve each when everything up to its index is applied. */
  readonly reads: readonly ConfirmedRead[];
  /** Contexts that died with the leadership: never answered. */
  readonly failedReads: readonly number[];
  /** These peers need a snapshot; end each with `reportSnapshot`. */
  readonly snapshotTo: readonly PeerId[];
  readonly leadership: 'gained' | 'lost' | null;
}

export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface PeerProgress {
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  readonly mode: ProgressMode;
  readonly isRecentlyActive: boolean;
}

export interface RaftState {
  readonly role: RaftRole;
  readonly term: Term;
  readonly leader: PeerId | null;
  readonly commitIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly configuration: Configuration;
  /** Leader: heard from a quorum within the last election timeout; others: know a leader. */
  readonly hasQuorum: boolean;
  readonly transferee: PeerId | null;
  /** Reads need no round until then, on the leader's own monotonic clock; undefined without a lease. Unit: ms. */
  readonly leaseUntilMs: number | undefined;
  /** Other members, as the leader sees them; empty elsewhere. */
  readonly progress: ReadonlyMap<PeerId, PeerProgress>;
}

export interface Proposed {
  readonly term: Term;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
}

export type ProposeRefusal = 'not-leader' | 'transferring' | 'too-much-uncommitted';

export interface ProposeRefused {
  readonly refused: ProposeRefusal;
}

export interface ConfigurationRefused {
  readonly refused: ProposeRefusal | 'change-pending' | 'no-change';
}
