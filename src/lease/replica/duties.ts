import type { PeerId } from '../../base/index.ts';
import type { Message, Ready } from '../raft/index.ts';
import type { Applier } from './applier.ts';
import type { CommitNotices } from './commit-notices.ts';
import type { ReplicaCore } from './core.ts';
import type { ReplicaDisk } from './disk.ts';
import type { Leaderships } from './leaderships.ts';
import type { Proposals } from './proposals.ts';
import type { Reads } from './reads.ts';

export interface DutyParts {
  readonly leaderships: Leaderships;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly applier: Applier;
  readonly disk: ReplicaDisk;
  readonly notices: CommitNotices;
  /** @returns peers that could not be reached. */
  readonly transmit: (messages: readonly Message[]) => readonly PeerId[];
  readonly endLeadership: () => void;
  readonly sendSnapshot: (peer: PeerId) => void;
}

/** Takes raft's duties from it and does them: messages first, then disk and machine, then whoever waits. */
export class Duties {
  readonly #core: ReplicaCore;
  readonly #parts: DutyParts;

  constructor(core: ReplicaCore, parts: DutyParts) {
    this.#core = core;
    this.#parts = parts;
  }

  /** Everything that reads, proposals, messages and ticks of this turn have led to. */
  turn(): void {
    const { reads, proposals } = this.#parts;
    const { raft } = this.#core.state;
    reads.ask();
    proposals.proposeWaiting();
    while (this.#core.mode === 'running' && this.#core.state.raft === raft && raft.hasReady()) {
      this.perform(raft.takeReady());
      proposals.proposeWaiting();
    }
    proposals.advance();
    this.#parts.notices.look();
  }

  /** One Ready per batch, so that the limit of syncs under way counts batches. @returns whether this replica still runs. */
  performNow(): boolean {
    this.perform(this.#core.state.raft.takeReady());
    return this.#core.mode === 'running';
  }

  /** All that raft wants done now. */
  performAll(): void {
    const { raft } = this.#core.state;
    while (raft.hasReady()) this.perform(raft.takeReady());
  }

  perform(ready: Ready): void {
    const { leaderships, reads, applier, disk, endLeadership, sendSnapshot } = this.#parts;
    const { raft } = this.#core.state;
    if (ready.leadership === 'gained') leaderships.elected(raft.state.term);
    this.#send(ready.send);
    disk.stage(ready);
    if (!applier.applyAll(ready.commit)) return;
    const last = ready.commit.at(-1);
    if (last !== undefined) raft.applied(last.index);
    if (ready.persist !== null) disk.flush();
    if (ready.leadership === 'lost') endLeadership();
    reads.settle(ready);
    for (const peer of ready.snapshotTo) sendSnapshot(peer);
  }

  /** P2: what may be said only once it is durable. */
  durable(staged: readonly Ready[]): void {
    for (const { sequence, sendAfterPersist } of staged) {
      this.#core.state.raft.persisted(sequence);
      this.#send(sendAfterPersist);
    }
  }

  #send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    for (const peer of this.#parts.transmit(messages)) this.#core.state.raft.reportUnreachable(peer);
  }
}
