import type { KeyTable, Write } from '../../../src/storage/index.ts';
import { SimDisk } from '../ground/index.ts';

/** Batches after which a lying disk does store what it holds. */
const STORES_EVERY = 20;

/** Acknowledges what lies in its cache, and loses the cache with the power: what a store does that never syncs. */
export class LyingDisk extends SimDisk {
  #stored: KeyTable | undefined;
  #cached = 0;

  override persist(writes: readonly Write[]): void {
    if (this.#cached % STORES_EVERY === 0) this.#stored = this.table.clone();
    this.#cached += 1;
    super.persist(writes);
  }

  override persistSomeOf(): void {
    if (this.#stored !== undefined) this.replaceTable(this.#stored.clone());
    this.#cached = 0;
  }
}
