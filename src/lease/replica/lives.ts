import { AspenError, type LogIndex, type PeerId, type Term } from '../../base/index.ts';
import { prefixEnd } from '../../storage/index.ts';
import { EMPTY_BASE, FRESH_HARD_STATE, putHardState } from '../disk-layout.ts';
import {
  compareEpochs,
  type Epoch,
  epochRecord,
  firstTermOf,
  readSuperseded,
  type Superseded,
  supersededRecord,
} from '../epoch.ts';
import type { Configuration } from '../raft/index.ts';
import type { ReplicaState } from '../replica-state.ts';
import type { ReplicaCore } from './core.ts';
import type { ReplicaDisk } from './disk.ts';
import type { Faults } from './faults.ts';
import type { Leaderships } from './leaderships.ts';

export interface LifeParts {
  readonly leaderships: Leaderships;
  readonly disk: ReplicaDisk;
  readonly faults: Faults;
}

/**
 * How a group begins, begins anew on what one survivor holds, and how a node passes into a later life of it.
 *
 * - E5, E6 A recovery, and giving up an older copy, are one batch each; nothing is merged.
 */
export class Lives {
  readonly #core: ReplicaCore;
  readonly #parts: LifeParts;

  constructor(core: ReplicaCore, parts: LifeParts) {
    this.#core = core;
    this.#parts = parts;
  }

  /** What a later life of the group made this node give up; undefined when nothing. */
  get superseded(): Superseded | undefined {
    return readSuperseded(this.#core.components.store);
  }

  /** Begins a group with this node as its only voter. */
  async bootstrap(): Promise<void> {
    const { log, buffer } = this.#core.state;
    const first = { term: 1 as Term, index: 1 as LogIndex };
    log.append([this.#configurationEntry(first)]);
    putHardState(buffer, { term: first.term, votedFor: null, commitIndex: first.index });
    await buffer.flush();
    this.#core.reopen();
  }

  /**
   * E5 Begins `epoch` with this node as the only voter, on all that its log holds, committed or not: it may have been acknowledged.
   * @throws AspenError CONFLICT when this node leads or holds nothing, UNAVAILABLE when it cannot write now.
   */
  async recover(epoch: Epoch): Promise<void> {
    if (this.#parts.leaderships.current !== undefined || !this.#core.isMember) {
      throw new AspenError('CONFLICT', 'only a survivor that holds the data and does not lead can recover');
    }
    await this.#change(epoch, ({ log, raft, buffer }) => {
      const term = firstTermOf(epoch, raft.state.term);
      const index = (log.lastIndex() + 1) as LogIndex;
      log.append([this.#configurationEntry({ term, index })]);
      putHardState(buffer, { term, votedFor: null, commitIndex: index });
    });
    this.#core.log.warn({ epoch: epoch.number }, 'recovered the group on what this node holds');
  }

  /**
   * E6 A later life of the group: what this node holds of an earlier one is given up in one batch, never merged, and what it was is noted.
   * It comes back as a newcomer does.
   */
  async follow(epoch: Epoch): Promise<void> {
    const { mode, isMember } = this.#core;
    if (mode !== 'running' || compareEpochs(epoch, this.#core.epoch) <= 0) return;
    await this.#change(epoch, (state) => {
      if (isMember) this.#giveUp(state, epoch);
    });
  }

  #giveUp({ log, buffer, space, raft }: ReplicaState, epoch: Epoch): void {
    const superseded: Superseded = {
      epoch: this.#core.epoch.number,
      lastIndex: log.lastIndex(),
      commitIndex: raft.state.commitIndex,
      atWallMs: this.#core.components.clock.wallMs(),
      newEpoch: epoch.number,
      recoveredBy: epoch.by as PeerId,
    };
    const { key, value } = supersededRecord(superseded);
    buffer.put(key, value);
    log.restart(EMPTY_BASE);
    putHardState(buffer, FRESH_HARD_STATE);
    buffer.deleteRange({ from: space, to: prefixEnd(space) });
    const text =
      'the group was recovered without this node: it gives up its copy and comes back as a learner';
    this.#core.log.warn(superseded, text);
  }

  /** Nothing is said or written beside it; memory is thrown away before and after. */
  async #change(epoch: Epoch, write: (state: ReplicaState) => void): Promise<void> {
    if (this.#core.mode !== 'running') {
      throw new AspenError('UNAVAILABLE', 'this replica cannot change now: it stops, or its disk is full');
    }
    this.#parts.faults.standAside('changing');
    await this.#parts.disk.settled();
    this.#core.reopen();
    const { buffer } = this.#core.state;
    const { key, value } = epochRecord(epoch);
    write(this.#core.state);
    buffer.put(key, value);
    await buffer.flush();
    this.#core.epoch = epoch;
    this.#core.reopen();
    this.#resume();
  }

  /** Unless it was stopped meanwhile. */
  #resume(): void {
    if (this.#core.mode === 'changing') this.#core.mode = 'running';
  }

  #configurationEntry({ term, index }: { readonly term: Term; readonly index: LogIndex }) {
    const voters = [this.#core.components.self];
    const configuration: Configuration = { voters, outgoing: [], learners: [] };
    return { term, index, kind: 'configuration', payload: new Uint8Array(0), configuration } as const;
  }
}
