import { AspenError, type PeerId } from '../base/index.ts';
import { prefixEnd, type Store, type Write } from '../storage/index.ts';
import type { Space } from './disk-layout.ts';
import type { SnapshotMeta } from './raft/index.ts';
import { type SnapshotChunk, snapshotCrc } from './snapshot-wire.ts';

interface Transfer {
  readonly from: PeerId;
  readonly id: number;
  nextNumber: number;
  crc: number;
}

/** Records deleted at once while the other space is being emptied. */
const CLEAR_STEP = 1_000;

/**
 * Writes an arriving snapshot into the space that is not in use. Nothing that counts is touched before the last chunk has arrived and
 * the checksum holds; a newer transfer ends an older one.
 */
export class SnapshotReceiver {
  readonly #store: Store;
  #transfer: Transfer | undefined;
  #isBusy = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * @returns what is complete now, or undefined while more is to come.
   * @throws AspenError CONFLICT when the chunk does not follow from those before: the sender begins again.
   */
  async receive(from: PeerId, chunk: SnapshotChunk, space: Space): Promise<SnapshotMeta | undefined> {
    if (this.#isBusy) throw new AspenError('CONFLICT', 'another chunk of a snapshot is being written');
    this.#isBusy = true;
    try {
      return await this.#receive(from, chunk, space);
    } finally {
      this.#isBusy = false;
    }
  }

  async #receive(from: PeerId, chunk: SnapshotChunk, space: Space): Promise<SnapshotMeta | undefined> {
    if (chunk.number === 0) {
      this.#transfer = undefined;
      await clearSpace(this.#store, space);
      this.#transfer = { from, id: chunk.transfer, nextNumber: 0, crc: 0 };
    }
    const transfer = this.#transfer;
    if (transfer?.from !== from || transfer.id !== chunk.transfer || transfer.nextNumber !== chunk.number) {
      throw new AspenError('CONFLICT', `chunk ${chunk.number} of a snapshot does not follow, begin again`);
    }
    transfer.crc = snapshotCrc(transfer.crc, chunk.records);
    if (transfer.crc !== chunk.crc) {
      this.#transfer = undefined;
      throw new AspenError('CONFLICT', 'the checksum of the snapshot does not hold, begin again');
    }
    await this.#store.write(
      chunk.records.map(([key, value]): Write => ({ type: 'put', key: space + key, value })),
    );
    transfer.nextNumber += 1;
    if (!chunk.isLast) return undefined;
    this.#transfer = undefined;
    return chunk.meta;
  }
}

/** Deletes what a space holds, in steps. */
export async function clearSpace(store: Store, space: Space): Promise<void> {
  for (;;) {
    const keys = Array.from(
      store.range({ from: space, to: prefixEnd(space), limit: CLEAR_STEP }),
      ([key]) => key,
    );
    if (keys.length === 0) return;
    await store.write(keys.map((key): Write => ({ type: 'delete', key })));
  }
}
