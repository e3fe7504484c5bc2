import { invariant } from '../base/index.ts';
import { encodeRecord, recordBytes } from './journal-record.ts';
import type { Write } from './store.ts';

/** A longer body than this part of a segment goes to the store itself. */
const BODY_PART = 1 / 4;

/** Records that may be on their way to the disk at one time: who waits for the second need not wait for the first. */
export const RECORDS_UNDER_WAY = 2;

/** One file of a fixed length, full of zeros when it is new. Up to {@link RECORDS_UNDER_WAY} writes, of different bytes, may overlap. */
export interface Segment {
  /** All of it. */
  read(): Promise<Buffer>;
  /**
   * Durable when it resolves; what others wrote meanwhile may be lost all the same, and they are told.
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

/** The end of a journal that is written to: records stand behind each other in the order of the calls. */
export class Journal {
  readonly #disk: JournalDisk;
  readonly #salt: number;
  /** As many as there are appends under way at most. */
  readonly #free: Buffer[] = [];
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

  /**
   * All of `batches` in one record, which has its place as soon as this returns. Durable when it resolves, whatever becomes of the records before it.
   * @param isOverlapping the record before it may be under way. @throws StorageFault `sync-failed`.
   */
  async append(
    batches: readonly (readonly Write[])[],
    { isOverlapping }: { readonly isOverlapping: boolean },
  ): Promise<void> {
    const at = this.#at;
    const sequence = this.#sequence + 1;
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(recordBytes(this.bodyBytesLimit));
    const record = encodeRecord(buffer, batches, { sequence, at, salt: this.#salt, isOverlapping });
    invariant(at + record.length <= this.#disk.segmentBytes, 'a record goes beyond its segment');
    this.#sequence = sequence;
    this.#at += record.length;
    await (this.#disk.segments[this.#current] as Segment).write(record, at);
    this.#free.push(buffer);
  }

  /**
   * Later records go to the other segment, which is clear. No append is under way.
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
