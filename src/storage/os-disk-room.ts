import { isRoomIn, spareBytes } from './lmdb-room.ts';

/** With so much to spare nobody fills a disk between two looks. Unit: bytes. */
const AMPLE_BYTES = 2 ** 30;
/** Between looks at a disk with ample room. Unit: ms. */
const LOOK_MS = 100;

/** @returns a way to ask for room as {@link hasRoomFor} does, for who asks thousands of times a second. */
export function osDiskRoom(path: string): (valueBytes: number) => boolean {
  let spare = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  return (valueBytes) => {
    const nowMs = performance.now();
    if (spare < AMPLE_BYTES || nowMs - lookedMs >= LOOK_MS) {
      spare = spareBytes(path);
      lookedMs = nowMs;
    }
    return isRoomIn(spare, valueBytes);
  };
}
