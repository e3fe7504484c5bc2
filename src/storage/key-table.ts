import { invariant } from '../base/index.ts';
import { SortedKeys } from './sorted-keys.ts';
import type { Key, KeyRange, StoreView, Write } from './store.ts';

/** Longest key of any store; lmdb takes 1,978 bytes of a 4 KiB page. Unit: bytes. */
export const KEY_BYTES_LIMIT = 1_900;

/** Ordered keys and values in memory: what a memory store or a simulated disk holds. Values are taken as they are, not copied. */
export class KeyTable implements StoreView {
  #keys = new SortedKeys();
  #values = new Map<Key, Uint8Array>();

  get size(): number {
    return this.#values.size;
  }

  get(key: Key): Uint8Array | undefined {
    return this.#values.get(key);
  }

  *range(range: KeyRange): Generator<readonly [Key, Uint8Array], void, undefined> {
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    if (left <= 0) return;
    for (const key of this.#keys.range(range)) {
      yield [key, this.#values.get(key) as Uint8Array];
      left -= 1;
      if (left <= 0) return;
    }
  }

  apply(batch: readonly Write[]): void {
    for (const write of batch) this.#applyOne(write);
  }

  clone(): KeyTable {
    const copy = new KeyTable();
    copy.#keys = this.#keys.clone();
    copy.#values = new Map(this.#values);
    return copy;
  }

  #applyOne(write: Write): void {
    switch (write.type) {
      case 'put': {
        const sizeBefore = this.#values.size;
        this.#values.set(write.key, write.value);
        if (this.#values.size !== sizeBefore) this.#keys.add(write.key);
        return;
      }
      case 'delete':
        if (this.#values.delete(write.key)) this.#keys.remove(write.key);
        return;
      case 'deleteRange':
        for (const key of [...this.#keys.range(write)]) {
          this.#values.delete(key);
          this.#keys.remove(key);
        }
    }
  }
}

/** Stops the process when a batch holds a key that no store can keep: the caller built it. */
export function checkKeys(batch: readonly Write[]): void {
  for (const write of batch) {
    if (write.type === 'deleteRange') continue;
    const { length } = write.key;
    invariant(
      length > 0 && length <= KEY_BYTES_LIMIT,
      `a key has 1 to ${KEY_BYTES_LIMIT} bytes, got ${length}`,
    );
  }
}
