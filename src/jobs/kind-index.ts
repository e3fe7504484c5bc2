import {
  type Bits,
  type BlockIds,
  blockOfPlace,
  blockOfRow,
  endOfBlock,
  placesAmong,
  takenPlaces,
} from './blocks.ts';
import type { Placed } from './job-places.ts';
import {
  type ApplyContext,
  type Key,
  prefixEnd,
  type QueryContext,
  type ReadonlyTable,
} from './machine-port.ts';
import { rowsOf } from './record-store.ts';

type Context = ApplyContext | QueryContext;

/** A part of the order of submission: from `from` on, before `to`. */
export interface Block {
  readonly from: Key;
  readonly to: Key;
}

/** @returns the newest block that begins before `before` and holds jobs of every kind; undefined when there is none. */
export function newestBlock(context: QueryContext, kinds: readonly Key[], before: Key): Block | undefined {
  let found = blockBefore(context, kinds[0] as Key, before);
  for (let at = 1; found !== undefined && at < kinds.length; ) {
    const other = blockBefore(context, kinds[at] as Key, upTo(found));
    if (other === found) at += 1;
    else {
      found = other === undefined ? undefined : blockBefore(context, kinds[0] as Key, upTo(other));
      at = 1;
    }
  }
  return found === undefined ? undefined : { from: found, to: endOfBlock(found) };
}

/** @returns the bound that lets in a place, also where an id follows it, and nothing after it. */
export function upTo(place: Key): Key {
  return `${place}\u00ff`;
}

/** All jobs that were submitted before the place `before`, the newest first. */
export function* newestOfAll(context: Context, before: Key): Generator<Placed, void, undefined> {
  const range = { from: '', to: before, reverse: true };
  for (const [block, ids] of rowsOf<BlockIds>(context, 'blocks').range(range))
    yield* newestBefore(before, placedIn(block, takenPlaces(ids), ids));
}

/** Those of one kind. */
export function* newestOfKind(context: Context, kind: Key, before: Key): Generator<Placed, void, undefined> {
  const blocks = rowsOf<BlockIds>(context, 'blocks');
  const range = { from: kind, to: kind + before, reverse: true };
  for (const [key, bits] of context.table<Bits>('kindBits').range(range))
    yield* newestBefore(before, jobsMarked(blocks, key, bits));
}

/** @returns the first jobs of one kind behind the place `after`, at least `count` where there are so many, in the order of submission. */
export function oldestOfKind(context: Context, kind: Key, count: number, after: Key = ''): Placed[] {
  const blocks = rowsOf<BlockIds>(context, 'blocks');
  const oldest: Placed[] = [];
  const range = after === '' ? { prefix: kind } : { from: kind + blockOfPlace(after), to: prefixEnd(kind) };
  for (const [key, bits] of context.table<Bits>('kindBits').range(range)) {
    oldest.push(...jobsMarked(blocks, key, bits).filter(({ place }) => place > after));
    if (oldest.length >= count) break;
  }
  return oldest;
}

/** @param key of a row of bits. @returns the jobs that it marks, in the order of submission. */
export function jobsMarked(blocks: Pick<ReadonlyTable<BlockIds>, 'get'>, key: Key, bits: Bits): Placed[] {
  const block = blockOfRow(key);
  return placedIn(block, bits, blocks.get(block) ?? []);
}

function placedIn(block: Key, bits: Bits, ids: BlockIds): Placed[] {
  return placesAmong(block, bits).flatMap(({ at, place }) => {
    const id = ids[at];
    return id === undefined || id === null ? [] : [{ place, id }];
  });
}

function newestBefore(before: Key, placed: readonly Placed[]): Placed[] {
  return placed.filter(({ place }) => place < before).reverse();
}

function blockBefore(context: QueryContext, kind: Key, before: Key): Key | undefined {
  const range = { from: kind, to: kind + before, reverse: true, limit: 1 };
  for (const [key] of rowsOf<Bits>(context, 'kindBits').range(range)) return blockOfRow(key);
  return undefined;
}
