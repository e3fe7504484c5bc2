import { AspenError, type LogIndex, type PeerId } from '../base/index.ts';
import type { Store, Write } from '../storage/index.ts';
import type { Space } from './disk-layout.ts';
import type { SnapshotMeta } from './raft/index.ts';
import { clearSpace, FORGET_STAGING, putStaging, readStaging, type Staging } from './snapshot-staging.ts';
import { type SnapshotChunk, type SnapshotPosition, snapshotCrc } from './snapshot-wire.ts';

/**
 * Writes an arriving snapshot into the space that is not in use, chunk by chunk as they come: memory holds one chunk.
 *
 * - T1 Records and the word how far they go are durable in one batch: after a cut or a crash a transfer goes on where it was.
 * - T2 Nothing that counts is touched before the last chunk has arrived and the checksum over all of them holds.
 * - T3 The unused space has one writer at a time: what empties it never runs beside what fills it.
 */
export class SnapshotReceiver {
  readonly #store: Store;
  #staging: Staging | undefined;
  #isBusy = false;

  /** @throws StorageFault `damaged`. */
  constructor(store: Store) {
    this.#store = store;
    this.#staging = readStaging(store);
  }

  /** How far a transfer has got here. */
  position(from: PeerId, transfer: number): SnapshotPosition {
    if (this.#isBusy) throw busy();
    return { next: this.#isUnderWay(from, transfer) ? (this.#staging?.next ?? 0) : 0 };
  }

  /**
   * @param space the one that is not in use.
   * @param install puts a complete snapshot in place of the current state, in a batch that also forgets the staging record; called
   *   while nobody else writes to `space`. @returns false when the state in use stands for as much already.
   * @throws AspenError CONFLICT when the chunk does not follow from those before: the sender asks for the position, or begins again.
   */
  async receive(
    chunk: SnapshotChunk,
    {
      from,
      space,
      install,
    }: { from: PeerId; space: Space; install: (meta: SnapshotMeta) => Promise<boolean> },
  ): Promise<SnapshotPosition> {
    return this.#alone(async () => {
      if (chunk.number === 0) await this.#begin(from, chunk, space);
      const { meta } = await this.#write(from, chunk, space);
      if (chunk.isLast) {
        if (!(await install(meta))) await this.#empty(space);
        this.#staging = undefined;
      }
      return { next: chunk.number + 1 };
    });
  }

  /**
   * Drops what a crash or a sender that gave up left behind. Called once in a while.
   * @param appliedIndex what the state in use stands for: a snapshot of no more than that is of no use.
   */
  async tidy(unused: Space, appliedIndex: LogIndex, signal: AbortSignal): Promise<void> {
    if (this.#isBusy) return;
    const isWanted = this.#staging?.space === unused && this.#staging.meta.index > appliedIndex;
    if (!isWanted) await this.#alone(() => this.#empty(unused, signal));
  }

  /** Whether something is staged that the state in use has overtaken. */
  isOvertaken(appliedIndex: LogIndex): boolean {
    return !this.#isBusy && this.#staging !== undefined && this.#staging.meta.index <= appliedIndex;
  }

  async #begin(from: PeerId, { transfer, meta }: SnapshotChunk, space: Space): Promise<void> {
    if (this.#isUnderWay(from, transfer)) return;
    await this.#empty(space);
    this.#staging = { from, transfer, meta, space, next: 0, crc: 0 };
  }

  /** T1. The last chunk is not counted, so that it can be sent again until the snapshot is in place. */
  async #write(from: PeerId, chunk: SnapshotChunk, space: Space): Promise<Staging> {
    const staging = this.#staging;
    if (staging === undefined || !this.#isUnderWay(from, chunk.transfer) || staging.space !== space) {
      throw new AspenError('CONFLICT', `nothing is held of snapshot ${chunk.transfer}, begin again`);
    }
    if (staging.next !== chunk.number) {
      throw new AspenError(
        'CONFLICT',
        `chunk ${staging.next} is awaited of the snapshot, got ${chunk.number}`,
      );
    }
    const crc = snapshotCrc(staging.crc, chunk.records);
    if (crc !== chunk.crc) {
      throw new AspenError('CONFLICT', `the checksum of chunk ${chunk.number} of a snapshot does not hold`);
    }
    const after: Staging = chunk.isLast ? staging : { ...staging, next: chunk.number + 1, crc };
    const puts = chunk.records.map(([key, value]): Write => ({ type: 'put', key: space + key, value }));
    await this.#store.write([...puts, putStaging(after)]);
    this.#staging = after;
    return after;
  }

  async #empty(space: Space, signal?: AbortSignal): Promise<void> {
    if (this.#staging !== undefined) await this.#store.write([FORGET_STAGING]);
    this.#staging = undefined;
    await clearSpace(this.#store, space, signal);
  }

  #isUnderWay(from: PeerId, transfer: number): boolean {
    return this.#staging?.from === from && this.#staging.transfer === transfer;
  }

  /** T3 */
  async #alone<T>(task: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw busy();
    this.#isBusy = true;
    try {
      return await task();
    } finally {
      this.#isBusy = false;
    }
  }
}

function busy(): AspenError {
  return new AspenError('CONFLICT', 'another part of a snapshot is being written');
}
