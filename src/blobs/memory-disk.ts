import { AspenError } from '../base/index.ts';
import type { BlobDisk, DataFile, EntryFile } from './disk.ts';

interface Entry {
  readonly files: Map<EntryFile, Uint8Array>;
  data: Uint8Array;
  /** As of the last sync. */
  syncedData: Uint8Array;
}

/** A disk that outlives the simulated process using it. Bytes that were not synced are lost in a crash. */
export class MemoryBlobDisk implements BlobDisk {
  readonly #entries = new Map<string, Entry>();
  /** Where set, writing beyond it fails as on a full disk. Unit: bytes. */
  roomBytes = Number.POSITIVE_INFINITY;

  async names(): Promise<readonly string[]> {
    return [...this.#entries.keys()];
  }

  async read(name: string, file: EntryFile): Promise<Uint8Array | undefined> {
    return this.#entries.get(name)?.files.get(file)?.slice();
  }

  async writeAtomic(name: string, file: EntryFile, bytes: Uint8Array): Promise<void> {
    this.#entry(name).files.set(file, bytes.slice());
  }

  async openData(name: string): Promise<DataFile> {
    const entry = this.#entry(name);
    return {
      read: async (offset, lengthBytes) => entry.data.slice(offset, offset + lengthBytes),
      write: async (offset, bytes) => this.#write(entry, offset, bytes),
      sync: async () => {
        entry.syncedData = entry.data.slice();
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async dataBytes(name: string): Promise<number> {
    return this.#entries.get(name)?.data.length ?? 0;
  }

  async rename(from: string, to: string): Promise<void> {
    const entry = this.#entries.get(from);
    if (entry === undefined) throw new AspenError('UNAVAILABLE', `no entry ${from}`);
    this.#entries.delete(from);
    this.#entries.set(to, entry);
  }

  async remove(name: string): Promise<void> {
    this.#entries.delete(name);
  }

  crash(): void {
    for (const entry of this.#entries.values()) entry.data = entry.syncedData.slice();
  }

  /** Changes one byte on the disk, as a failing one does. */
  damage(name: string, offset: number): void {
    const { data, syncedData } = this.#entry(name);
    for (const bytes of [data, syncedData])
      if (offset < bytes.length) bytes[offset] = (bytes[offset] as number) ^ 0xff;
  }

  get usedBytes(): number {
    return [...this.#entries.values()].reduce((sum, { data }) => sum + data.length, 0);
  }

  #entry(name: string): Entry {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { files: new Map(), data: new Uint8Array(), syncedData: new Uint8Array() };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  #write(entry: Entry, offset: number, bytes: Uint8Array): void {
    const end = Math.max(entry.data.length, offset + bytes.length);
    if (this.usedBytes - entry.data.length + end > this.roomBytes)
      throw new AspenError('RESOURCE_EXHAUSTED', 'the disk is full', { details: { limit: 'disk' } });
    if (end > entry.data.length) {
      const grown = new Uint8Array(end);
      grown.set(entry.data);
      entry.data = grown;
    }
    entry.data.set(bytes, offset);
  }
}
