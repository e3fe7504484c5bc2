import type { LogIndex, Timer } from '../../base/index.ts';
import type { ReplicaCore } from './core.ts';

/** How long followers may not know of a commit while the next append is awaited that will tell them. Unit: ms. */
const PATIENCE_MS = 2;

/**
 * Tells followers of commits that no append has told them in time. A client that writes one thing after the other has its next append carry
 * the last commit: half of the messages between leader and followers are saved.
 */
export class CommitNotices {
  readonly #core: ReplicaCore;
  #timer: Timer | undefined;

  constructor(core: ReplicaCore) {
    this.#core = core;
  }

  /** To be called when anything may have been committed. */
  look(): void {
    const { state, components } = this.#core;
    if (this.#timer !== undefined) return;
    const { commitIndex } = state.raft;
    if (!state.raft.owesCommit(commitIndex)) return;
    this.#timer = components.clock.setTimer(PATIENCE_MS, () => {
      this.#timer = undefined;
      this.#tell(commitIndex);
    });
  }

  /** What was committed since has its own time. */
  #tell(index: LogIndex): void {
    const { raft } = this.#core.state;
    if (raft.owesCommit(index)) raft.tellCommit();
    this.#core.schedule();
  }
}
