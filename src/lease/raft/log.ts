/**
 * The log as the core sees it: what the driver made durable, then a tail held in memory.
 *
 * R1 An entry counts as durable only when the write that holds this very version of it was reported. Writes are
 *    numbered; cutting the log shortens what older numbers vouch for, so a late report of a write that was
 *    overwritten meanwhile says nothing about its successor, even if index and term are the same again.
 * R2 Committed entries are never cut.
 */

import { invariant } from '../../base/assert.ts';
import type { LogIndex, Term } from '../../base/brand.ts';
import { logIndex, termOf } from './positions.ts';
import type { Entry, LogReader, SnapshotMeta } from './types.ts';

/** Entries both durable and handed to apply stay in memory up to these limits, for followers slightly behind. */
const RETAINED_BYTES = 4 * 1024 * 1024;
const RETAINED_ENTRIES = 1_024;

/** What an entry without payload is counted as, so that limits in bytes also bound the number of entries. */
const ENTRY_OVERHEAD_BYTES = 64;

export function sizeOf(entry: Entry): number {
  return entry.payload.byteLength + ENTRY_OVERHEAD_BYTES;
}

export interface LogWrite {
  readonly truncateFrom: LogIndex | null;
  readonly entries: readonly Entry[];
}

interface InFlightWrite {
  readonly sequence: number;
  /** What the report of this write proves; shortened when the log is cut. */
  provesUpTo: number;
}

export class RaftLog {
  readonly #reader: LogReader;
  /** Contiguous; `#tail[0]` has index `#tailFirst`. Holds at least everything not durable or not yet handed to apply. */
  #tail: Entry[] = [];
  #tailFirst: number;
  #lastIndex: number;
  #lastTerm: Term;
  #durableIndex: number;
  #handedIndex: number;
  #truncateFrom: number | null = null;
  #inFlight: InFlightWrite[] = [];
  #commitIndex: number;
  #releasedIndex: number;
  #retainedBytes = 0;
  /** Up to here entries of the tail are counted in `#retainedBytes`. */
  #retainedIndex: number;
  /** While a snapshot is being put in place of this log, nothing more is handed out: it would be written after it. */
  isSuspended = false;

  constructor(reader: LogReader, initial: { commitIndex: LogIndex; appliedIndex: LogIndex }) {
    this.#reader = reader;
    this.#lastIndex = reader.lastIndex();
    this.#tailFirst = this.#lastIndex + 1;
    this.#durableIndex = this.#lastIndex;
    this.#handedIndex = this.#lastIndex;
    this.#retainedIndex = this.#lastIndex;
    this.#lastTerm = this.#durableTerm(this.#lastIndex) ?? termOf(0);
    this.#commitIndex = Math.max(initial.commitIndex, initial.appliedIndex);
    this.#releasedIndex = initial.appliedIndex;
    invariant(
      this.#commitIndex <= this.#lastIndex,
      () =>
        `the durable log must hold what is committed: ${this.#commitIndex}, it ends at ${this.#lastIndex}`,
    );
    invariant(
      this.#releasedIndex + 1 >= reader.firstIndex(),
      () => `applied ${this.#releasedIndex} must reach the first entry ${reader.firstIndex()}`,
    );
  }

  get firstIndex(): LogIndex {
    return logIndex(Math.min(this.#reader.firstIndex(), this.#tailFirst));
  }

  get lastIndex(): LogIndex {
    return logIndex(this.#lastIndex);
  }

  get lastTerm(): Term {
    return this.#lastTerm;
  }

  /** Everything up to here is on this disk, in the version that the core holds. */
  get durableIndex(): LogIndex {
    return logIndex(this.#durableIndex);
  }

  get commitIndex(): LogIndex {
    return logIndex(this.#commitIndex);
  }

  /** Highest commit index that may be written along: never beyond what is handed out to be written. */
  get commitIndexToPersist(): LogIndex {
    return logIndex(Math.min(this.#commitIndex, this.#handedIndex));
  }

  get hasWrite(): boolean {
    return !this.isSuspended && this.#handedIndex < this.#lastIndex;
  }

  get hasCommitted(): boolean {
    return !this.isSuspended && this.#releasedIndex < Math.min(this.#commitIndex, this.#durableIndex);
  }

  /** @returns undefined when compacted away or beyond the end. */
  term(index: number): Term | undefined {
    if (index === this.#lastIndex) return this.#lastTerm;
    if (index > this.#lastIndex || index < 0) return undefined;
    if (index >= this.#tailFirst) return this.#tail[index - this.#tailFirst]?.term;
    return this.#durableTerm(index);
  }

  matches(index: LogIndex, term: Term): boolean {
    return this.term(index) === term;
  }

  /** At least one entry if there is any in `from` <= index < `to`; may be cut before `to`. */
  entries(from: number, to: number, bytesLimit: number): readonly Entry[] {
    const end = Math.min(to, this.#lastIndex + 1);
    if (from >= end) return [];
    if (from < this.#tailFirst) {
      const read = this.#reader.entries(logIndex(from), logIndex(Math.min(end, this.#tailFirst)), bytesLimit);
      invariant(
        read[0]?.index === from,
        () => `the durable log must hold ${from}, it gave ${read[0]?.index}`,
      );
      return read;
    }
    return this.#tailEntries(from, end, bytesLimit);
  }

  /** @returns an entry that is still held in memory, as everything not handed to apply is. */
  heldEntry(index: number): Entry {
    const entry = this.#tail[index - this.#tailFirst];
    invariant(
      entry !== undefined,
      () => `entry ${index} must be held, the tail begins at ${this.#tailFirst}`,
    );
    return entry;
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      invariant(
        entry.index === this.#lastIndex + 1 && entry.term >= this.#lastTerm,
        () => `entry ${entry.index}/${entry.term} must follow ${this.#lastIndex}/${this.#lastTerm}`,
      );
      this.#tail.push(entry);
      this.#lastIndex = entry.index;
      this.#lastTerm = entry.term;
    }
  }

  /** Drops every entry from `from` on. The caller appends their successors before the next write is handed out. */
  truncate(from: LogIndex): void {
    invariant(
      from > this.#commitIndex,
      () => `R2: ${from} is committed (${this.#commitIndex}) and must stay`,
    );
    if (from >= this.#tailFirst) {
      this.#tail.length = from - this.#tailFirst;
    } else {
      this.#tail = [];
      this.#tailFirst = from;
    }
    this.#durableIndex = Math.min(this.#durableIndex, from - 1);
    this.#retainedIndex = Math.min(this.#retainedIndex, from - 1);
    if (from <= this.#handedIndex) {
      this.#truncateFrom = Math.min(this.#truncateFrom ?? from, from);
      this.#handedIndex = from - 1;
    }
    for (const write of this.#inFlight) write.provesUpTo = Math.min(write.provesUpTo, from - 1); // R1
    const term = this.#beforeTail(from - 1);
    invariant(term !== undefined, () => `the term before ${from} must be known`);
    this.#lastIndex = from - 1;
    this.#lastTerm = term;
  }

  /** @returns what must be written now, each entry once; null when nothing. */
  takeWrite(sequence: number): LogWrite | null {
    if (!this.hasWrite) return null;
    const entries = this.#tail.slice(this.#handedIndex + 1 - this.#tailFirst);
    const truncateFrom = this.#truncateFrom === null ? null : logIndex(this.#truncateFrom);
    this.#truncateFrom = null;
    this.#handedIndex = this.#lastIndex;
    this.#inFlight.push({ sequence, provesUpTo: this.#lastIndex });
    return { truncateFrom, entries };
  }

  /** All writes up to `sequence` are on disk. */
  persisted(sequence: number): void {
    let done = 0;
    for (const write of this.#inFlight) {
      if (write.sequence > sequence) break;
      this.#durableIndex = Math.max(this.#durableIndex, write.provesUpTo); // R1
      done += 1;
    }
    this.#inFlight.splice(0, done);
    this.#forget();
  }

  /** Moves on, never back and never past the end. @returns whether it moved. */
  commitTo(index: number): boolean {
    if (index <= this.#commitIndex) return false;
    invariant(index <= this.#lastIndex, () => `cannot commit ${index}, the log ends at ${this.#lastIndex}`);
    this.#commitIndex = index;
    return true;
  }

  /** @returns entries both committed and durable here, in order, each once. */
  takeCommitted(bytesLimit: number): readonly Entry[] {
    if (!this.hasCommitted) return [];
    const until = Math.min(this.#commitIndex, this.#durableIndex) + 1;
    const entries = this.entries(this.#releasedIndex + 1, until, bytesLimit);
    const last = entries.at(-1);
    if (last === undefined) return entries;
    this.#releasedIndex = last.index;
    this.#forget();
    return entries;
  }

  /**
   * Highest index at or below `index` whose term is at most `term`: where two logs may still agree. Terms never fall
   * along a log, so the search halves.
   * @returns the place before the first known entry when everything known is newer.
   */
  lastAtOrBelow(index: number, term: Term): { index: LogIndex; term: Term } {
    let low = Math.max(this.firstIndex - 1, 0);
    let high = Math.max(Math.min(index, this.#lastIndex), low);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const here = this.term(middle);
      if (here !== undefined && here > term) high = middle - 1;
      else low = middle;
    }
    return { index: logIndex(low), term: this.term(low) ?? termOf(0) };
  }

  /** The driver put a snapshot in place of everything: the log continues after it. */
  restart(meta: SnapshotMeta): void {
    this.isSuspended = false;
    this.#tail = [];
    this.#tailFirst = meta.index + 1;
    this.#lastIndex = meta.index;
    this.#lastTerm = meta.term;
    this.#durableIndex = meta.index;
    this.#handedIndex = meta.index;
    this.#truncateFrom = null;
    this.#inFlight = [];
    this.#commitIndex = Math.max(this.#commitIndex, meta.index);
    this.#releasedIndex = meta.index;
    this.#retainedIndex = meta.index;
    this.#retainedBytes = 0;
  }

  #durableTerm(index: number): Term | undefined {
    return index === 0 ? termOf(0) : this.#reader.term(logIndex(index));
  }

  /** Like {@link term}, while `#lastIndex` still names an entry that was just cut. */
  #beforeTail(index: number): Term | undefined {
    return index >= this.#tailFirst ? this.#tail[index - this.#tailFirst]?.term : this.#durableTerm(index);
  }

  #tailEntries(from: number, end: number, bytesLimit: number): readonly Entry[] {
    const first = from - this.#tailFirst;
    let until = first;
    let bytes = 0;
    while (until < end - this.#tailFirst) {
      bytes += sizeOf(this.#tail[until] as Entry);
      if (bytes > bytesLimit && until > first) break;
      until += 1;
    }
    return this.#tail.slice(first, until);
  }

  /** Drops from memory what is both durable and handed to apply, in chunks so that the cost per entry stays constant. */
  #forget(): void {
    const droppable = Math.min(this.#durableIndex, this.#releasedIndex);
    this.#retainedIndex = Math.max(this.#retainedIndex, this.#tailFirst - 1);
    while (this.#retainedIndex < droppable) {
      this.#retainedIndex += 1;
      this.#retainedBytes += sizeOf(this.#tail[this.#retainedIndex - this.#tailFirst] as Entry);
    }
    const count = this.#retainedIndex + 1 - this.#tailFirst;
    if (count <= RETAINED_ENTRIES && this.#retainedBytes <= RETAINED_BYTES) return;
    this.#tail.splice(0, count);
    this.#tailFirst += count;
    this.#retainedBytes = 0;
  }
}
