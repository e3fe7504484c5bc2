import { SortedKeys } from './sorted-keys.ts';
import type { Key, KeyRange, Write } from './store.ts';

interface Bounds {
  readonly from: Key;
  readonly to: Key;
}

/** How to take writes back, last one first. */
type Undo =
  | { readonly type: 'key'; readonly key: Key; readonly had: boolean; readonly value: Uint8Array | undefined }
  | { readonly type: 'range' };
export type UndoLog = Undo[];

/**
 * The writes of one future batch, folded to the last one a key. Range deletes come first in it: what was written to a range before
 * its deletion is dropped here, so whatever a key holds is newer than every range that covers it.
 */
export class PendingWrites {
  readonly #values = new Map<Key, Uint8Array | undefined>();
  readonly #deleted: Bounds[] = [];
  /** Every key of `#values` once a range was asked for, and possibly more: an undone key stays until the batch is gone. */
  readonly #sorted = new SortedKeys();
  #unsorted: Key[] = [];
  #putBytes = 0;

  /** Keys put or deleted one by one. */
  get size(): number {
    return this.#values.size;
  }

  /** Of all values put, those included that were put again. */
  get putBytes(): number {
    return this.#putBytes;
  }

  get isEmpty(): boolean {
    return this.#values.size === 0 && this.#deleted.length === 0;
  }

  /** @param value undefined deletes. */
  set(key: Key, value: Uint8Array | undefined, undo: UndoLog | undefined): void {
    if (undo !== undefined) {
      undo.push({ type: 'key', key, had: this.#values.has(key), value: this.#values.get(key) });
    }
    const sizeBefore = this.#values.size;
    this.#values.set(key, value);
    if (value !== undefined) this.#putBytes += value.length;
    if (this.#values.size !== sizeBefore) this.#unsorted.push(key);
  }

  deleteRange(bounds: Bounds, undo: UndoLog | undefined): void {
    for (const key of this.keys(bounds)) {
      undo?.push({ type: 'key', key, had: true, value: this.#values.get(key) });
      this.#values.delete(key);
    }
    this.#deleted.push({ from: bounds.from, to: bounds.to });
    undo?.push({ type: 'range' });
  }

  undo(log: UndoLog): void {
    for (let step = log.pop(); step !== undefined; step = log.pop()) {
      if (step.type === 'range') this.#deleted.pop();
      else if (step.had) this.set(step.key, step.value, undefined);
      else this.#values.delete(step.key);
    }
  }

  /** @returns undefined for a key that these writes delete, `unknown` for one they do not touch. */
  lookup(key: Key): Uint8Array | undefined | 'unknown' {
    const value = this.#values.get(key);
    if (value !== undefined) return value;
    return this.touches(key) ? undefined : 'unknown';
  }

  touches(key: Key): boolean {
    return this.#values.has(key) || this.#deleted.some(({ from, to }) => key >= from && key < to);
  }

  /** Keys put or deleted one by one, in order. */
  *keys(range: KeyRange): Generator<Key, void, undefined> {
    for (const key of this.#unsorted) this.#sorted.add(key);
    this.#unsorted = [];
    for (const key of this.#sorted.range(range)) if (this.#values.has(key)) yield key;
  }

  /** What they are now; the values themselves are shared. */
  clone(): PendingWrites {
    const copy = new PendingWrites();
    for (const [key, value] of this.#values) copy.set(key, value, undefined);
    for (const bounds of this.#deleted) copy.#deleted.push(bounds);
    return copy;
  }

  batch(): Write[] {
    const ranges = this.#deleted.map(({ from, to }): Write => ({ type: 'deleteRange', from, to }));
    const keys = Array.from(
      this.#values,
      ([key, value]): Write => (value === undefined ? { type: 'delete', key } : { type: 'put', key, value }),
    );
    return ranges.length === 0 ? keys : [...ranges, ...keys];
  }
}
