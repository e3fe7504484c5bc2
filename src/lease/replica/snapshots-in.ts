import { AspenError, type PeerId } from '../../base/index.ts';
import { StorageFault, WriteBuffer } from '../../storage/index.ts';
import { otherSpace, putSpace } from '../disk-layout.ts';
import { Machine } from '../machine/index.ts';
import type { SnapshotMeta } from '../raft/index.ts';
import type { ReplicaState } from '../replica-state.ts';
import { SnapshotReceiver } from '../snapshot-receiver.ts';
import { FORGET_STAGING } from '../snapshot-staging.ts';
import { parseSnapshotRequest, type SnapshotPosition } from '../snapshot-wire.ts';
import type { ReplicaCore } from './core.ts';
import type { ReplicaDisk } from './disk.ts';

export interface SnapshotsInParts {
  readonly disk: ReplicaDisk;
  /** Does all that raft wants done now. */
  readonly performAll: () => void;
  readonly onStorageFault: (error: unknown) => void;
}

/** Takes a leader's snapshot in, and puts it in the place of the state in use. */
export class SnapshotsIn {
  readonly #core: ReplicaCore;
  readonly #parts: SnapshotsInParts;
  readonly #receiver: SnapshotReceiver;

  constructor(core: ReplicaCore, parts: SnapshotsInParts) {
    this.#core = core;
    this.#parts = parts;
    this.#receiver = new SnapshotReceiver(core.components.store);
  }

  /** @throws AspenError INVALID_REQUEST, or CONFLICT when `from` does not lead as this node knows it. */
  async receive(from: PeerId, body: unknown): Promise<SnapshotPosition> {
    const request = parseSnapshotRequest(body);
    if (request === undefined) throw new AspenError('INVALID_REQUEST', 'not a part of a snapshot');
    const { raft, space } = this.#core.state;
    if (this.#core.mode !== 'running' || raft.state.leader !== from) {
      throw new AspenError('CONFLICT', `${from} does not lead the group as this node knows it`);
    }
    if (request.type === 'inquiry') return this.#receiver.position(from, request.transfer);
    try {
      const install = (meta: SnapshotMeta) => this.#install(meta);
      return await this.#receiver.receive(request, { from, space: otherSpace(space), install });
    } catch (error) {
      if (error instanceof StorageFault) this.#parts.onStorageFault(error);
      throw error;
    } finally {
      if (this.#core.state.space !== space) this.tidy();
    }
  }

  tick(): void {
    if (this.#receiver.isOvertaken(this.#core.state.machine.appliedIndex)) this.tidy();
  }

  /** Empties the space that is not in use, unless a snapshot is on its way into it. */
  tidy(): void {
    this.#core.tasks.run(async (signal) => {
      await this.#parts.disk.settled();
      const { space, machine } = this.#core.state;
      await this.#receiver.tidy(otherSpace(space), machine.appliedIndex, signal);
    });
  }

  /**
   * The other space becomes the current one and the log begins anew after it, in one batch.
   * @returns false when the log holds as much already.
   */
  async #install(meta: SnapshotMeta): Promise<boolean> {
    const { state } = this.#core;
    const { disk, performAll } = this.#parts;
    if (this.#core.mode !== 'running') throw notInstalled();
    if (!state.raft.beginSnapshot(meta)) return false;
    performAll();
    while (!disk.isIdle) await disk.settled();
    this.#requireSame(state);
    const space = otherSpace(state.space);
    state.log.restart(meta);
    putSpace(state.buffer, space);
    await disk.flushLog([FORGET_STAGING]);
    this.#requireSame(state);
    state.space = space;
    state.tables = new WriteBuffer(this.#core.components.store, { isBehind: true });
    state.machine = new Machine({
      store: state.tables,
      space,
      modules: this.#core.components.modules,
      isHashed: this.#core.isHashed,
    });
    disk.adoptTables();
    state.raft.installSnapshot(meta);
    this.#core.log.info({ index: meta.index }, 'snapshot installed');
    this.#core.schedule();
    return true;
  }

  #requireSame(state: ReplicaState): void {
    if (this.#core.state !== state || this.#core.mode !== 'running') throw notInstalled();
  }
}

function notInstalled(): AspenError {
  return new AspenError('CONFLICT', 'the snapshot was not put in place: this node cannot write now');
}
