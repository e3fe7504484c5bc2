import { decode, encode, type PeerId } from '../base/index.ts';
import {
  type Key,
  prefixEnd,
  StorageFault,
  type Store,
  type StoreView,
  type Write,
} from '../storage/index.ts';
import type { Space } from './disk-layout.ts';
import type { SnapshotMeta } from './raft/index.ts';
import { parseSnapshotMeta } from './snapshot-wire.ts';

/** How far an arriving snapshot has got; on disk it changes in the same batch as the records it counts. */
export interface Staging {
  readonly from: PeerId;
  readonly transfer: number;
  readonly meta: SnapshotMeta;
  /** Where the records go. */
  readonly space: Space;
  /** Number of the chunk that is awaited. */
  readonly next: number;
  /** Of all records before it. */
  readonly crc: number;
}

const STAGING_KEY: Key = 'r/staging';
/** Records deleted at once while a space is being emptied. */
const CLEAR_STEP = 1_000;

export const FORGET_STAGING: Write = { type: 'delete', key: STAGING_KEY };

export function putStaging({ from, transfer, meta, space, next, crc }: Staging): Write {
  return { type: 'put', key: STAGING_KEY, value: encode([from, transfer, meta, space, next, crc]) };
}

/** @throws StorageFault `damaged`. */
export function readStaging(store: StoreView): Staging | undefined {
  const bytes = store.get(STAGING_KEY);
  if (bytes === undefined) return undefined;
  const record = decode(bytes);
  if (!Array.isArray(record)) throw new StorageFault('damaged', `the record ${STAGING_KEY} is malformed`);
  const [from, transfer, storedMeta, space, next, crc] = record as [
    PeerId,
    number,
    unknown,
    Space,
    number,
    number,
  ];
  const meta = parseSnapshotMeta(storedMeta);
  if (meta === undefined) throw new StorageFault('damaged', `the record ${STAGING_KEY} is malformed`);
  return { from, transfer, meta, space, next, crc };
}

/** Deletes what a space holds, in steps; what is left when the signal comes is for the next time. */
export async function clearSpace(store: Store, space: Space, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true) {
    const keys = Array.from(
      store.range({ from: space, to: prefixEnd(space), limit: CLEAR_STEP }),
      ([key]) => key,
    );
    if (keys.length === 0) return;
    await store.write(keys.map((key): Write => ({ type: 'delete', key })));
  }
}
