import { invariant } from '../base/index.ts';
import { encodeRecord, recordBytes } from './journal-record.ts';
import type { Write } from './store.ts';

/** A longer body than this part of a segment goes to the store itself. */
const BODY_PART = 1 / 4;

/** One file of a fixed length, full of zeros when it is new. Its calls come one at a time. */
export interface Segment {
  /** All of it. */
  read(): Promise<Buffer>;
  /**
   * Durable when it resolves.
   * @throws StorageFault `sync-failed`.
   */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /**
   * Fills the first `byteLength` bytes with zeros; durable when it resolves.
   * @throws StorageFault `sync-failed`.
   */
  clear(byteLength: number): Promise<void>;
}

/** The files of a journal: one is written to while the store takes over what the other one holds. */
export interface JournalDisk extends AsyncDisposable {
  /** Of each segment; a power of two, at least 4,096. */
  readonly segmentBytes: number;
  readonly segments: readonly [Segment, Segment];
  /** Whether a segment was made just now: there was none. */
  readonly isNew: boolean;
  /** Whether the disk takes so many bytes more, with a reserve left. */
  hasRoomFor(bytes: number): boolean;
  /** Lets everything that has come in be asked for before the next record is written. */
  nextTurn(): Promise<void>;
}

/** The end of a journal that is written to. One append at a time. */
export class Journal {
  readonly #disk: JournalDisk;
  readonly #salt: number;
  readonly #buffer: Buffer;
  /** What one record holds at most. Unit: bytes. */
  readonly bodyBytesLimit: number;
  #current = 0;
  #at = 0;
  #sequence: number;

  /** Both segments are clear. */
  constructor(disk: JournalDisk, { sequence, salt }: { readonly sequence: number; readonly salt: number }) {
    this.#disk = disk;
    this.#sequence = sequence;
    this.#salt = salt;
    this.bodyBytesLimit = disk.segmentBytes * BODY_PART;
    this.#buffer = Buffer.allocUnsafeSlow(recordBytes(this.bodyBytesLimit));
  }

  /** Of the last record. */
  get sequence(): number {
    return this.#sequence;
  }

  /** In the segment that is written to. Unit: bytes. */
  get usedBytes(): number {
    return this.#at;
  }

  hasPlaceFor(bodyBytes: number): boolean {
    return this.#at + recordBytes(bodyBytes) <= this.#disk.segmentBytes;
  }

  /** All of `batches` in one record; durable when it resolves. @throws StorageFault `sync-failed`. */
  async append(batches: readonly (readonly Write[])[]): Promise<void> {
    const sequence = this.#sequence + 1;
    const record = encodeRecord(this.#buffer, batches, { sequence, at: this.#at, salt: this.#salt });
    invariant(this.#at + record.length <= this.#disk.segmentBytes, 'a record goes beyond its segment');
    await (this.#disk.segments[this.#current] as Segment).write(record, this.#at);
    this.#sequence = sequence;
    this.#at += record.length;
  }

  /**
   * Later records go to the other segment, which is clear.
   * @returns how to clear the one that was written to, once the store has what it holds.
   */
  turn(): () => Promise<void> {
    const full = this.#disk.segments[this.#current] as Segment;
    const usedBytes = this.#at;
    this.#current = 1 - this.#current;
    this.#at = 0;
    return () => (usedBytes === 0 ? Promise.resolve() : full.clear(usedBytes));
  }
}
