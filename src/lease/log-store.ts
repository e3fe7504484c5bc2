import { invariant, type LogIndex, type Term } from '../base/index.ts';
import { type Key, numberKey, prefixEnd, StorageFault } from '../storage/index.ts';
import { type DiskView, LOG_PREFIX, type LogBase, putLogBase, readLogBase } from './disk-layout.ts';
import { decodeEntry, encodeEntry, storedCrc } from './log-entry.ts';
import type { Configuration, Entry, LogReader, SnapshotMeta } from './raft/index.ts';

interface PlacedConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

/**
 * The log on disk, behind a write buffer: what is written here is durable with the buffer's next flush.
 *
 * - L1 The checksum of an entry covers its place, its content and the checksum before it: damage, a lost entry and an entry in
 *   another's place are noticed at the start and at every read.
 * - L2 Only what the applied tables stand for is ever dropped from the front.
 */
export class LogStore implements LogReader {
  readonly #disk: DiskView;
  #base: LogBase;
  /** Terms and stored sizes of all entries, the first one's index being `#base.index + 1`. */
  #terms: Term[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #lastCrc: number;
  #configurations: PlacedConfiguration[] = [];

  /** @throws StorageFault `damaged`. */
  constructor(disk: DiskView) {
    this.#disk = disk;
    this.#base = readLogBase(disk);
    this.#lastCrc = this.#base.crc;
    this.#load();
  }

  /** Stored size of all entries. Unit: bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#terms.length;
  }

  /** The latest one in the log, committed or not. */
  get configuration(): Configuration {
    return this.#configurations.at(-1)?.configuration ?? this.#base.configuration;
  }

  firstIndex(): LogIndex {
    return (this.#base.index + 1) as LogIndex;
  }

  lastIndex(): LogIndex {
    return (this.#base.index + this.#terms.length) as LogIndex;
  }

  term(index: LogIndex): Term | undefined {
    return index === this.#base.index ? this.#base.term : this.#terms[index - this.#base.index - 1];
  }

  snapshotMeta(): SnapshotMeta {
    return this.#base;
  }

  entries(from: LogIndex, to: LogIndex, bytesLimit: number): readonly Entry[] {
    const end = Math.min(to, this.lastIndex() + 1);
    if (from < this.firstIndex() || from >= end) return [];
    const entries: Entry[] = [];
    let bytes = 0;
    let crc = this.#crcOf(from - 1);
    for (const [, stored] of this.#disk.range({ from: logKey(from), to: logKey(end) })) {
      bytes += stored.length;
      if (bytes > bytesLimit && entries.length > 0) break;
      entries.push(decodeEntry((from + entries.length) as LogIndex, stored, crc)); // L1
      crc = storedCrc(stored);
    }
    if (entries.length === 0) throw new StorageFault('damaged', `log entry ${from} is missing`);
    return entries;
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      invariant(
        entry.index === this.lastIndex() + 1,
        () => `entry ${entry.index} must follow ${this.lastIndex()}`,
      );
      const { bytes, crc } = encodeEntry(entry, this.#lastCrc);
      this.#disk.put(logKey(entry.index), bytes);
      this.#remember(entry, bytes.length, crc);
    }
  }

  /** Drops every entry from `from` on. */
  truncate(from: LogIndex): void {
    if (from > this.lastIndex()) return;
    this.#lastCrc = this.#crcOf(from - 1);
    this.#disk.deleteRange({ from: logKey(from), to: logKey(this.lastIndex() + 1) });
    const kept = from - this.firstIndex();
    for (const size of this.#sizes.splice(kept)) this.#bytes -= size;
    this.#terms.length = kept;
    while ((this.#configurations.at(-1)?.index ?? -1) >= from) this.#configurations.pop();
  }

  /** Drops entries up to and with `index`, which the applied tables already stand for. */
  compact(index: LogIndex): void {
    if (index <= this.#base.index) return;
    invariant(index <= this.lastIndex(), () => `L2: cannot drop up to ${index} of ${this.lastIndex()}`);
    const count = index - this.#base.index;
    const configuration = this.#configurationAt(index);
    const base = { index, term: this.#terms[count - 1] as Term, crc: this.#crcOf(index), configuration };
    this.#disk.deleteRange({ from: logKey(this.firstIndex()), to: logKey(index + 1) });
    putLogBase(this.#disk, base);
    this.#terms.splice(0, count);
    for (const size of this.#sizes.splice(0, count)) this.#bytes -= size;
    this.#configurations = this.#configurations.filter((placed) => placed.index > index);
    this.#base = base;
  }

  /** A snapshot stands in place of everything: the log begins anew after it. */
  restart(meta: SnapshotMeta): void {
    this.#disk.deleteRange({ from: LOG_PREFIX, to: prefixEnd(LOG_PREFIX) });
    this.#base = { ...meta, crc: 0 };
    putLogBase(this.#disk, this.#base);
    this.#terms = [];
    this.#sizes = [];
    this.#bytes = 0;
    this.#lastCrc = 0;
    this.#configurations = [];
  }

  /** @returns how many of the oldest entries make up at least `bytes`. */
  countForBytes(bytes: number): number {
    let sum = 0;
    let count = 0;
    while (sum < bytes && count < this.#sizes.length) sum += this.#sizes[count++] as number;
    return count;
  }

  #load(): void {
    for (const [key, stored] of this.#disk.range({ from: LOG_PREFIX, to: prefixEnd(LOG_PREFIX) })) {
      const index = (this.lastIndex() + 1) as LogIndex;
      if (key !== logKey(index)) throw new StorageFault('damaged', `log entry ${index} is missing`);
      const entry = decodeEntry(index, stored, this.#lastCrc); // L1
      this.#remember(entry, stored.length, storedCrc(stored));
    }
  }

  #remember(entry: Entry, size: number, crc: number): void {
    this.#terms.push(entry.term);
    this.#sizes.push(size);
    this.#bytes += size;
    this.#lastCrc = crc;
    if (entry.configuration !== undefined) {
      this.#configurations.push({ index: entry.index, configuration: entry.configuration });
    }
  }

  #configurationAt(index: number): Configuration {
    const placed = this.#configurations.findLast((each) => each.index <= index);
    return placed?.configuration ?? this.#base.configuration;
  }

  #crcOf(index: number): number {
    if (index === this.#base.index) return this.#base.crc;
    if (index === this.lastIndex()) return this.#lastCrc;
    const stored = this.#disk.get(logKey(index));
    if (stored === undefined) throw new StorageFault('damaged', `log entry ${index} is missing`);
    return storedCrc(stored);
  }
}

function logKey(index: number): Key {
  return LOG_PREFIX + numberKey(index);
}
