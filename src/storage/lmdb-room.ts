import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** Room left on the disk for whatever else must be written when the store no longer may: other programs, small files, the way down. Unit: bytes. */
const RESERVE_BYTES = 16 * 2 ** 20;
/** On small disks the reserve is this part of the whole. */
const SMALL_DISK_PART = 1 / 16;
/** A transaction writes whole pages and the way to them. */
const PAGES_FACTOR = 2;
const TRANSACTION_BYTES = 2 ** 18;

/**
 * Whether a transaction may begin, so that a disk never becomes full under the store: it would meet that in the middle of a write, and the
 * memory-mapped lock file beside it would end the process with a signal.
 * @param valueBytes of the transaction.
 */
export function hasRoomFor(path: string, valueBytes: number): boolean {
  return isRoomIn(spareBytes(path), valueBytes);
}

/** @returns what is left on the disk beside the reserve. Unit: bytes. */
export function spareBytes(path: string): number {
  const { bavail, blocks, bsize } = statfsSync(dirname(path));
  return bavail * bsize - Math.min(RESERVE_BYTES, blocks * bsize * SMALL_DISK_PART);
}

/** As {@link hasRoomFor}, of a disk that has so much to spare. */
export function isRoomIn(spare: number, valueBytes: number): boolean {
  return spare >= valueBytes * PAGES_FACTOR + TRANSACTION_BYTES;
}
