import { openValue, sealValue } from './checked-value.ts';
import type { Key, KeyRange, StorageFault, Store, StoreSnapshot, StoreView, Write } from './store.ts';

export interface CheckedStoreComponents {
  /** Holds nothing but sealed values. */
  readonly store: Store;
  /** Told once, at the first value that is not what was written; the read that met it throws as well. */
  readonly onDamage?: (fault: StorageFault) => void;
}

/**
 * A store whose every value carries a checksum bound to its key.
 *
 * - C2: no read returns a value that is not what was written under that key: it throws `damaged` instead, from snapshots and ranges too.
 */
export class CheckedStore implements Store {
  readonly #store: Store;
  readonly #reader: CheckedView;

  constructor({ store, onDamage = () => undefined }: CheckedStoreComponents) {
    this.#store = store;
    this.#reader = new CheckedView(store, onceOnly(onDamage));
  }

  get(key: Key): Uint8Array | undefined {
    return this.#reader.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    return this.#reader.range(range);
  }

  write(batch: readonly Write[]): Promise<void> {
    return this.#store.write(batch.map(sealed));
  }

  writeBehind(batch: readonly Write[]): Promise<void> {
    return this.#store.writeBehind(batch.map(sealed));
  }

  endWaiting(): void {
    this.#store.endWaiting?.();
  }

  snapshot(): StoreSnapshot {
    const snapshot = this.#store.snapshot();
    const reader = this.#reader.over(snapshot);
    return {
      get: (key) => reader.get(key),
      range: (range) => reader.range(range),
      [Symbol.dispose]: () => snapshot[Symbol.dispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

class CheckedView implements StoreView {
  readonly #view: StoreView;
  readonly #onDamage: (fault: StorageFault) => void;

  constructor(view: StoreView, onDamage: (fault: StorageFault) => void) {
    this.#view = view;
    this.#onDamage = onDamage;
  }

  over(view: StoreView): CheckedView {
    return new CheckedView(view, this.#onDamage);
  }

  get(key: Key): Uint8Array | undefined {
    const stored = this.#view.get(key);
    return stored && this.#open(key, stored);
  }

  *range(range: KeyRange): Generator<readonly [Key, Uint8Array], void, undefined> {
    for (const [key, stored] of this.#view.range(range)) yield [key, this.#open(key, stored)];
  }

  #open(key: Key, stored: Uint8Array): Uint8Array {
    try {
      return openValue(key, stored);
    } catch (error) {
      this.#onDamage(error as StorageFault);
      throw error;
    }
  }
}

function sealed(write: Write): Write {
  if (write.type !== 'put') return write;
  const { key, value } = write;
  return { type: 'put', key, value: sealValue(key, value) };
}

function onceOnly(callback: (fault: StorageFault) => void): (fault: StorageFault) => void {
  let isTold = false;
  return (fault) => {
    if (isTold) return;
    isTold = true;
    callback(fault);
  };
}
