/**
 * What a node does at the word of a leader: appends, commits, gives up its log for a snapshot.
 *
 * R10 A snapshot never replaces a log that holds what the snapshot stands for: entries after it may be acknowledged.
 */
import { invariant } from '../../base/assert.ts';
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { ConfigurationHistory } from './configuration-history.ts';
import type { RaftLog } from './log.ts';
import type { Append, Heartbeat } from './messages.ts';
import type { Outbox } from './outbox.ts';
import { logIndex, termOf } from './positions.ts';
import { acceptAppend } from './replication.ts';
import type { Standing } from './standing.ts';
import type { SnapshotMeta } from './types.ts';

export interface FollowingComponents {
  readonly standing: Standing;
  readonly log: RaftLog;
  readonly history: ConfigurationHistory;
  readonly outbox: Outbox;
}

interface Hint {
  readonly rejectedIndex: LogIndex;
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

const NO_HINT: Hint = { rejectedIndex: logIndex(0), hintIndex: logIndex(0), hintTerm: termOf(0) };

export class Following {
  readonly #self: PeerId;
  readonly #standing: Standing;
  readonly #log: RaftLog;
  readonly #history: ConfigurationHistory;
  readonly #outbox: Outbox;

  constructor(self: PeerId, { standing, log, history, outbox }: FollowingComponents) {
    this.#self = self;
    this.#standing = standing;
    this.#log = log;
    this.#history = history;
    this.#outbox = outbox;
  }

  /** The leader tells only what it knows to be durable here; a log that is shorter has lost it and commits nothing by that word. */
  onHeartbeat({ from, commitIndex, round }: Heartbeat): void {
    if (commitIndex <= this.#log.lastIndex && !this.#log.isSuspended) this.#commitTo(commitIndex);
    const { term } = this.#standing;
    this.#outbox.send({ type: 'heartbeatReply', from: this.#self, to: from, term, round });
  }

  onAppend(append: Append): void {
    if (this.#log.isSuspended) return;
    const verdict = acceptAppend(this.#log, append);
    if (verdict.type === 'rejected') {
      this.#reject(append.from, verdict);
      return;
    }
    if (verdict.truncateFrom !== null) {
      this.#log.truncate(verdict.truncateFrom);
      this.#history.truncate(verdict.truncateFrom);
    }
    this.#log.append(verdict.entries);
    this.#history.append(verdict.entries);
    this.#commitTo(Math.min(append.commitIndex, verdict.matchIndex));
    this.#outbox.sendAfterPersist({
      type: 'appendAccepted',
      from: this.#self,
      to: append.from,
      term: this.#standing.term,
      matchIndex: verdict.matchIndex,
    });
  }

  /** Whoever leads an older term learns of ours and steps down. */
  refuseOlderTerm(leader: PeerId): void {
    this.#reject(leader, NO_HINT);
  }

  /** @returns whether `meta` stands for anything that this log does not hold (R10). */
  needsSnapshot(meta: SnapshotMeta): boolean {
    if (this.#log.isSuspended || meta.index <= this.#log.commitIndex) return false;
    if (!this.#log.matches(meta.index, meta.term)) return true;
    this.#commitTo(meta.index);
    return false;
  }

  /** From now on nothing is acknowledged which the snapshot would then wipe out. */
  awaitSnapshot(): void {
    this.#log.isSuspended = true;
    this.#outbox.dropGated();
  }

  abandonSnapshot(): void {
    this.#log.isSuspended = false;
  }

  snapshotInstalled(meta: SnapshotMeta): void {
    invariant(
      this.#log.isSuspended || this.#log.lastIndex <= meta.index,
      () => `R10: beginSnapshot must allow ${meta.index}, the log ends at ${this.#log.lastIndex}`,
    );
    this.#log.restart(meta);
    this.#history.restart(meta.configuration);
  }

  #commitTo(index: number): void {
    if (this.#log.commitTo(index)) this.#history.committed(this.#log.commitIndex);
  }

  #reject(to: PeerId, { rejectedIndex, hintIndex, hintTerm }: Hint): void {
    this.#outbox.sendAfterPersist({
      type: 'appendRejected',
      from: this.#self,
      to,
      term: this.#standing.term,
      rejectedIndex,
      hintIndex,
      hintTerm,
    });
  }
}
