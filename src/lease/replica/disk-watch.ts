import { bestSuccessor } from '../best-successor.ts';
import type { ReplicaCore } from './core.ts';
import type { ReplicaDisk } from './disk.ts';

/** A disk that takes longer stands still, as far as others can tell. Unit: ms. */
const STALLED_MS = 5_000;
/** Between two tries to give the leadership away: others may have the same disk. Unit: ms. */
const TRY_AGAIN_MS = 10_000;

/**
 * Notices that the disk of this replica does not answer, which no error tells.
 *
 * - P8 A leader whose disk stands still gives the leadership to another voter that is in contact: it has heartbeats for everybody, so nobody else
 *   would ever take it over, and nothing it is asked for would be acknowledged.
 */
export class DiskWatch {
  readonly #core: ReplicaCore;
  readonly #disk: Pick<ReplicaDisk, 'waitedMs'>;
  #isStalled = false;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(core: ReplicaCore, disk: Pick<ReplicaDisk, 'waitedMs'>) {
    this.#core = core;
    this.#disk = disk;
  }

  /** To be called at every tick. */
  look(): void {
    const { log } = this.#core;
    const { waitedMs } = this.#disk;
    const isStalled = waitedMs >= STALLED_MS;
    if (isStalled !== this.#isStalled) {
      this.#isStalled = isStalled;
      if (isStalled) log.warn({ waitedMs }, 'the disk does not answer');
      else log.warn({}, 'the disk answers again');
    }
    if (isStalled) this.#giveAway();
  }

  /** P8 */
  #giveAway(): void {
    const { components, state, log } = this.#core;
    const { raft } = state;
    const nowMs = components.clock.monotonicMs();
    if (raft.state.role !== 'leader' || nowMs - this.#triedAtMs < TRY_AGAIN_MS) return;
    const successor = bestSuccessor(raft.state, components.self);
    if (successor === undefined) return;
    this.#triedAtMs = nowMs;
    log.warn({ successor }, 'the disk does not answer, another voter is to lead');
    raft.transferLeadership(successor);
  }
}
