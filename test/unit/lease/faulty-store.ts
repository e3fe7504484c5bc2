import {
  type Key,
  type KeyRange,
  MemoryStore,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type Write,
} from '../../../src/storage/index.ts';

/** A store in memory whose disk does what the test says. */
export class FaultyStore implements Store {
  readonly #inner = new MemoryStore();
  /** While set, every write fails with it and leaves nothing. */
  fault: 'full' | 'sync-failed' | null = null;
  /** While set, no write ends before it does. */
  held: Promise<void> | undefined;

  get(key: Key): Uint8Array | undefined {
    return this.#inner.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    return this.#inner.range(range);
  }

  async write(batch: readonly Write[]): Promise<void> {
    await this.held;
    if (this.fault !== null) throw new StorageFault(this.fault, `the test's disk: ${this.fault}`);
    await this.#inner.write(batch);
  }

  writeBehind(batch: readonly Write[]): Promise<void> {
    return this.write(batch);
  }

  snapshot(): StoreSnapshot {
    return this.#inner.snapshot();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
