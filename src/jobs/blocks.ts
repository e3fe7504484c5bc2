import { type Key, keyNumber, numberKey } from './machine-port.ts';
import type { JobRecord } from './record.ts';

/**
 * Jobs of one command whose offsets share the higher bits stand in one block: most commands are one block. It has as many places as a
 * whole number has bits that operators keep, so that a row of an index is one number.
 */
const BLOCK_PLACES = 32;
const POSITION_BYTES = 8;
const BLOCK_KEY_BYTES = 2 * POSITION_BYTES;

/** Some places of a block: bit n stands for the n-th. */
export type Bits = number;

/** Ids of the jobs of a block by place; null, or past the end, where none is kept. */
export type BlockIds = readonly (string | null)[];

/** Where a job stands in the order of submission. */
type Placed = Pick<JobRecord, 'position' | 'offset'>;

/** @returns where the block of a job begins, in the order of submission. */
export function blockOf({ position, offset }: Placed): Key {
  return numberKey(position) + numberKey(offset - (offset % BLOCK_PLACES));
}

/** @param place of a job in the order of submission. @returns where its block begins. */
export function blockOfPlace(place: Key): Key {
  return blockOf({ position: keyNumber(place), offset: keyNumber(place, POSITION_BYTES) });
}

/** Whether two jobs stand in one block. */
export function isSameBlock(left: Placed, right: Placed): boolean {
  return left.position === right.position && (left.offset ^ right.offset) < BLOCK_PLACES;
}

/** @returns where the next block could begin. */
export function endOfBlock(block: Key): Key {
  return block.slice(0, POSITION_BYTES) + numberKey(keyNumber(block, POSITION_BYTES) + BLOCK_PLACES);
}

/** @param key of a row of bits: a kind, and then the block. @returns where the block begins. */
export function blockOfRow(key: Key): Key {
  return key.slice(-BLOCK_KEY_BYTES);
}

/** @param key as for {@link blockOfRow}. @returns the kind. */
export function kindOfRow(key: Key): Key {
  return key.slice(0, -BLOCK_KEY_BYTES);
}

/** @returns the place of a job within its block. */
export function placeInBlock({ offset }: Placed): number {
  return offset % BLOCK_PLACES;
}

/** @returns the bit of a job within its block. */
export function bitOf(job: Placed): Bits {
  return (1 << placeInBlock(job)) >>> 0;
}

/** @returns the places of a block that are among `bits`, in order, as keys. */
export function placesAmong(block: Key, bits: Bits): { readonly at: number; readonly place: Key }[] {
  const places: { readonly at: number; readonly place: Key }[] = [];
  const position = block.slice(0, POSITION_BYTES);
  const first = keyNumber(block, POSITION_BYTES);
  for (let at = 0; at < BLOCK_PLACES; at += 1)
    if ((bits & (1 << at)) !== 0) places.push({ at, place: position + numberKey(first + at) });
  return places;
}

/** @returns the places of a block at which a job is kept. */
export function takenPlaces(ids: BlockIds): Bits {
  let bits = 0;
  for (const [at, id] of ids.entries()) if (id !== null) bits |= 1 << at;
  return bits >>> 0;
}
