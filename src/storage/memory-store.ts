import { checkKeys, KeyTable } from './key-table.ts';
import {
  type Key,
  type KeyRange,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type Write,
} from './store.ts';

/** A store that forgets when the process ends; every batch is as durable as it gets at once. For tests and simulations. */
export class MemoryStore implements Store {
  #table: KeyTable;
  /** Set while a snapshot may still look at `#table`: the next write makes its own copy first. */
  #isShared = false;
  #isClosed = false;

  constructor(table: KeyTable = new KeyTable()) {
    this.#table = table;
  }

  get(key: Key): Uint8Array | undefined {
    this.#checkOpen();
    return this.#table.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    this.#checkOpen();
    return this.#table.range(range);
  }

  async write(batch: readonly Write[]): Promise<void> {
    this.#checkOpen();
    checkKeys(batch);
    if (this.#isShared) this.#table = this.#table.clone();
    this.#isShared = false;
    this.#table.apply(batch.map(copied));
  }

  writeBehind(batch: readonly Write[]): Promise<void> {
    return this.write(batch);
  }

  snapshot(): StoreSnapshot {
    this.#checkOpen();
    this.#isShared = true;
    return tableSnapshot(this.#table);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new StorageFault('closed', 'the memory store is closed');
  }
}

/** @param table must not change as long as the snapshot is held. */
export function tableSnapshot(table: KeyTable): StoreSnapshot {
  let held: KeyTable | undefined = table;
  const view = () => {
    if (held === undefined) throw new StorageFault('closed', 'the snapshot was released');
    return held;
  };
  return {
    get: (key) => view().get(key),
    range: (range) => view().range(range),
    [Symbol.dispose]() {
      held = undefined;
    },
  };
}

/** A store keeps its own bytes: the caller may use the buffer again once the write is durable. */
export function copied(write: Write): Write {
  return write.type === 'put' ? { ...write, value: new Uint8Array(write.value) } : write;
}
