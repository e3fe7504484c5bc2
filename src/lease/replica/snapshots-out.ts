import { InvariantError, type LogIndex, type PeerId } from '../../base/index.ts';
import { StorageFault } from '../../storage/index.ts';
import { SnapshotSender } from '../snapshot-sender.ts';
import type { ReplicaCore } from './core.ts';

/** Sends the applied state to followers whom the log no longer brings up to date. */
export class SnapshotsOut implements Disposable {
  readonly #core: ReplicaCore;
  readonly #sender: SnapshotSender;

  constructor(core: ReplicaCore, method: string) {
    this.#core = core;
    this.#sender = new SnapshotSender(core.components, method);
  }

  tick(): void {
    this.#sender.tick();
  }

  /** To be called when nothing runs any more. */
  [Symbol.dispose](): void {
    this.#sender[Symbol.dispose]();
  }

  /** Followers that are catching up need the log after this index, whoever receives a snapshot included. */
  neededAfter(): LogIndex {
    const { raft, log, machine } = this.#core.state;
    const before = log.firstIndex() - 1;
    let needed = Math.min(this.#sender.oldestIndex ?? machine.appliedIndex, machine.appliedIndex);
    for (const { isRecentlyActive, mode, matchIndex, nextIndex } of raft.state.progress.values()) {
      const has = mode === 'probe' ? nextIndex - 1 : matchIndex;
      if (isRecentlyActive && mode !== 'snapshot' && has >= before) needed = Math.min(needed, has);
    }
    return needed as LogIndex;
  }

  async send(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { raft, log } = this.#core.state;
    try {
      const index = await this.#sender.send(peer, log.firstIndex(), signal);
      this.#core.log.info({ peer, index }, 'snapshot sent');
      raft.reportSnapshot(peer, { index });
    } catch (err) {
      if (err instanceof InvariantError || err instanceof StorageFault) throw err;
      this.#core.log.debug({ err, peer }, 'snapshot not sent, will try again');
      raft.reportSnapshot(peer, 'failed');
    }
    this.#core.schedule();
  }
}
