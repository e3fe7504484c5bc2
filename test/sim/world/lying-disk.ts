import type { KeyTable, Write } from '../../../src/storage/index.ts';
import { SimDisk, type SimSegments } from '../ground/index.ts';

/** Writes after which a lying disk does store what it holds. */
const STORES_EVERY = 20;

/** Acknowledges what lies in its cache, and loses the cache with the power: what a store does that never syncs. */
export class LyingDisk extends SimDisk {
  #stored: { readonly table: KeyTable; readonly journal: SimSegments } | undefined;
  #cached = 0;

  override persist(writes: readonly Write[]): void {
    this.#cache();
    super.persist(writes);
  }

  override persistSectors(...[write, which]: Parameters<SimDisk['persistSectors']>): void {
    if (which === 'all') this.#cache();
    super.persistSectors(write, which);
  }

  override persistSomeOf(): void {
    if (this.#stored !== undefined) {
      this.replace({ table: this.#stored.table.clone(), journal: this.#stored.journal.clone() });
    }
    this.#cached = 0;
  }

  #cache(): void {
    if (this.#cached % STORES_EVERY === 0)
      this.#stored = { table: this.table.clone(), journal: this.journal.clone() };
    this.#cached += 1;
  }
}
