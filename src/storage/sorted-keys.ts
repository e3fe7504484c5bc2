import type { Key, KeyRange } from './store.ts';

/** A chunk that grows beyond this is cut in two: inserting costs one short array move instead of one as long as the table. */
const CHUNK_KEYS_LIMIT = 512;

/** A sorted set of keys: O(log n) to find, about O(log n + 512) to insert or remove; the last key of all is added, and the first one removed, without a search. */
export class SortedKeys {
  #chunks: Key[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Does nothing when the key is there. */
  add(key: Key): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || (last[last.length - 1] as Key) < key) {
      this.#append(key, last);
      return;
    }
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at] as Key[];
    const position = lowerBound(chunk, key);
    if (chunk[position] === key) return;
    chunk.splice(position, 0, key);
    this.#size += 1;
    if (chunk.length > CHUNK_KEYS_LIMIT) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_LIMIT >> 1));
  }

  /** Does nothing when the key is not there. */
  remove(key: Key): void {
    if (this.#chunks[0]?.[0] === key) {
      this.#removeFirst(this.#chunks[0]);
      return;
    }
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const position = lowerBound(chunk, key);
    if (chunk[position] !== key) return;
    chunk.splice(position, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  clone(): SortedKeys {
    const copy = new SortedKeys();
    copy.#chunks = this.#chunks.map((chunk) => [...chunk]);
    copy.#size = this.#size;
    return copy;
  }

  /** Keys with `from` <= key < `to`, in order or reversed; `limit` is left to the caller. The set must not change meanwhile. */
  *range({ from, to, reverse = false }: KeyRange): Generator<Key, void, undefined> {
    if (reverse) yield* this.#backward(from, to);
    else yield* this.#forward(from, to);
  }

  *#forward(from: Key, to: Key): Generator<Key, void, undefined> {
    let at = this.#chunkFor(from);
    let position = lowerBound(this.#chunks[at] ?? [], from);
    for (let chunk = this.#chunks[at]; chunk !== undefined; chunk = this.#chunks[at]) {
      for (; position < chunk.length; position += 1) {
        const key = chunk[position] as Key;
        if (key >= to) return;
        yield key;
      }
      at += 1;
      position = 0;
    }
  }

  *#backward(from: Key, to: Key): Generator<Key, void, undefined> {
    let at = this.#chunkFor(to);
    let position = lowerBound(this.#chunks[at] ?? [], to) - 1;
    for (let chunk = this.#chunks[at]; chunk !== undefined; chunk = this.#chunks[at]) {
      for (; position >= 0; position -= 1) {
        const key = chunk[position] as Key;
        if (key < from) return;
        yield key;
      }
      at -= 1;
      position = (this.#chunks[at]?.length ?? 0) - 1;
    }
  }

  /** Keys that come in order fill their chunks. */
  #append(key: Key, last: Key[] | undefined): void {
    if (last !== undefined && last.length < CHUNK_KEYS_LIMIT) last.push(key);
    else this.#chunks.push([key]);
    this.#size += 1;
  }

  /** What waits in a line leaves it at its head. */
  #removeFirst(first: Key[]): void {
    first.shift();
    this.#size -= 1;
    if (first.length === 0) this.#chunks.shift();
  }

  /** @returns the last chunk whose first key is not beyond `key`; 0 when there is none. */
  #chunkFor(key: Key): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#chunks[middle]?.[0] as Key) <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** @returns the position of the first key that is not below `key`. */
function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
