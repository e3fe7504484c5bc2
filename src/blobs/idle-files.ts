import type { BlobEntry } from './entry.ts';

/** Files that stay open though nobody uses them now: one that is read chunk by chunk is not opened for each. */
const IDLE_FILES_LIMIT = 16;

/** Closes the file that was used longest ago where too many are open. */
export class IdleFiles {
  /** The one that was used last at the end. */
  readonly #entries = new Set<BlobEntry>();

  /** Nobody uses its file any more, which is still open. */
  async add(entry: BlobEntry): Promise<void> {
    this.#entries.delete(entry);
    this.#entries.add(entry);
    const [oldest] = this.#entries;
    if (this.#entries.size <= IDLE_FILES_LIMIT || oldest === undefined) return;
    this.#entries.delete(oldest);
    await oldest.close();
  }

  async close(entry: BlobEntry): Promise<void> {
    this.#entries.delete(entry);
    await entry.close();
  }
}
