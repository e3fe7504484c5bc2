import { AspenError } from '../base/index.ts';
import type { BlobId } from './blob-id.ts';
import type { BlobStat } from './blob-stat.ts';
import type { BlobReference } from './blob-state.ts';
import type { BlobEntry } from './entry.ts';

/** Which blobs are here, whole or begun, by id. */
export class BlobCatalog {
  readonly #entries = new Map<BlobId, BlobEntry>();
  /** Until a blob comes, goes, or becomes whole or damaged. */
  #newest: { readonly limit: number; readonly ids: readonly BlobId[] } | undefined;

  get size(): number {
    return this.#entries.size;
  }

  find(id: BlobId): BlobEntry | undefined {
    return this.#entries.get(id);
  }

  /** @throws AspenError NOT_FOUND */
  get(id: BlobId): BlobEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new AspenError('NOT_FOUND', `this node has no blob ${id}`);
    return entry;
  }

  /** In the order in which they came. */
  all(): readonly BlobEntry[] {
    return [...this.#entries.values()];
  }

  set(entry: BlobEntry): void {
    this.#entries.set(entry.id, entry);
    this.changed();
  }

  delete(id: BlobId): void {
    this.#entries.delete(id);
    this.changed();
  }

  /** A blob has become whole, or is so no longer. */
  changed(): void {
    this.#newest = undefined;
  }

  /** What all of them take of the quota, now or when they are whole. Unit: bytes. */
  roomBytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.roomBytes;
    return bytes;
  }

  /** By id. */
  list(): BlobStat[] {
    return this.all()
      .map((entry) => entry.stat())
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  /** Whole blobs, those that came last first. */
  newest(limit: number): readonly BlobId[] {
    if (this.#newest?.limit !== limit) {
      const whole = this.all().filter(({ state }) => state.chunks.isFull);
      whole.sort(
        (left, right) => right.state.addedAtMs - left.state.addedAtMs || (left.id < right.id ? -1 : 1),
      );
      this.#newest = { limit, ids: whole.slice(0, limit).map(({ id }) => id) };
    }
    return this.#newest.ids;
  }

  /** Jobs for which blobs are kept here, each once for each blob. */
  references(): readonly (BlobReference & { readonly id: BlobId })[] {
    return this.all().flatMap(({ id, state }) => state.references.map((reference) => ({ ...reference, id })));
  }
}
