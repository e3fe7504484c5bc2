/** What is kept of one blob beside its bytes. */
export type EntryFile = 'manifest' | 'state';

/** The bytes of one blob, written and read anywhere. */
export interface DataFile extends AsyncDisposable {
  /** @returns fewer bytes where the file ends before. */
  read(offset: number, lengthBytes: number): Promise<Uint8Array>;
  /** Durable after `sync`. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
}

/**
 * Where blobs lie: one entry each, readable by their owner only. Names come from the store and are ids, or of its own making.
 *
 * Rejects with RESOURCE_EXHAUSTED when the disk is full, UNAVAILABLE when it fails.
 */
export interface BlobDisk {
  /** Every entry. What a crash left of a removal is removed first. */
  names(): Promise<readonly string[]>;
  /** @returns undefined where there is no such file. */
  read(name: string, file: EntryFile): Promise<Uint8Array | undefined>;
  /** Makes the entry where there is none; whole or not at all, durable when it resolves. */
  writeAtomic(name: string, file: EntryFile, bytes: Uint8Array): Promise<void>;
  /** Makes entry and file where there are none. */
  openData(name: string): Promise<DataFile>;
  /** @returns how long the bytes are, 0 where there are none. */
  dataBytes(name: string): Promise<number>;
  /** Durable when it resolves. Replaces an entry of the new name. */
  rename(from: string, to: string): Promise<void>;
  /** At once: a crash leaves the entry as it was, or none. */
  remove(name: string): Promise<void>;
}
