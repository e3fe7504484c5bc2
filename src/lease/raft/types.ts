import type { LogIndex, PeerId, Term } from '../../base/brand.ts';

/** `empty` is what a new leader commits first, so that it learns what is committed (Raft paper, section 8). */
export type EntryKind = 'command' | 'configuration' | 'empty';

export interface Entry {
  readonly term: Term;
  readonly index: LogIndex;
  readonly kind: EntryKind;
  /** Opaque here; for `configuration` the encoded {@link Configuration} is in `configuration` instead. */
  readonly payload: Uint8Array;
  readonly configuration?: Configuration;
}

/** Peer ids, never addresses. While `outgoing` is not empty the configuration is joint and both majorities must agree. */
export interface Configuration {
  readonly voters: readonly PeerId[];
  readonly outgoing: readonly PeerId[];
  readonly learners: readonly PeerId[];
}

/** What must be durable before anything that depends on it is sent. */
export interface HardState {
  readonly term: Term;
  readonly votedFor: PeerId | null;
  readonly commitIndex: LogIndex;
}

/** The state that stands for all entries up to `index`. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

/** Synchronous reading of the durable log; what is not durable yet is held by the core itself. */
export interface LogReader {
  /** First index still in the log; `snapshot.index + 1` when the log is empty. */
  firstIndex(): LogIndex;
  lastIndex(): LogIndex;
  /** Term of `index`, also for the snapshot's own index; undefined when compacted away or beyond the end. */
  term(index: LogIndex): Term | undefined;
  /** Entries `from` <= index < `to`, at least one if any, cut when their payloads exceed `bytesLimit`. */
  entries(from: LogIndex, to: LogIndex, bytesLimit: number): readonly Entry[];
  snapshotMeta(): SnapshotMeta;
}
