import { AspenError, encode } from '../../base/index.ts';
import { keyNumber, numberKey } from '../../storage/index.ts';
import type { ApplyContext, Derived, QueryContext, ReadonlyTable } from './module.ts';

/**
 * The last changes of keys, for those who watch.
 *
 * - V3 Changes are numbered without a gap, in the order in which they happened; those of one command have its revision, and each key has
 *   at most one of them.
 * - V4 Whatever was not dropped for a limit is there, on every replica the same, over restarts and in snapshots; what was dropped is the
 *   oldest, and known by the revision through which it is gone.
 */

/** Changes that are kept at most. */
export const KV_HISTORY_EVENTS_LIMIT = 100_000;
/** Their size as stored. */
export const KV_HISTORY_BYTES_LIMIT = 64 * 2 ** 20;

export interface HistoryLimits {
  readonly eventsLimit: number;
  readonly bytesLimit: number;
}

/** What a key held before a change. */
type Previous = readonly [value: string, revision: number, version: number];

/** A change as stored. */
export type HistoryRecord = readonly [
  revision: number,
  /** Revision of the change before it; 0 for the first of all. */
  before: number,
  /** Size of all changes before it. Unit: bytes. */
  startBytes: number,
  key: string,
  /** Null: the key was deleted. */
  value: string | null,
  version: number,
  previous: Previous | null,
];

export interface KvEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Null when the key was deleted. */
  readonly value: string | null;
  readonly revision: number;
  /** 0 when the key was deleted. */
  readonly version: number;
  /** What the key held before; absent when nothing. */
  readonly previous?: { readonly value: string; readonly revision: number; readonly version: number };
}

/** Where the kept history begins and ends, and how large it is: all of it follows from its first and its last record. */
export class HistoryEnds implements Derived {
  readonly limits: HistoryLimits;
  #now: Ends;
  #saved: Ends;

  constructor(table: ReadonlyTable<HistoryRecord>, limits: HistoryLimits) {
    this.limits = limits;
    this.#now = readEnds(table);
    this.#saved = this.#now;
  }

  get ends(): Ends {
    return this.#now;
  }

  begin(): void {
    this.#saved = this.#now;
  }

  commit(): void {
    this.#saved = this.#now;
  }

  rollback(): void {
    this.#now = this.#saved;
  }

  added(revision: number, bytes: number): void {
    const { next, endBytes } = this.#now;
    this.#now = { ...this.#now, next: next + 1, endBytes: endBytes + bytes, lastRevision: revision };
  }

  /** @param oldest the record that is the first one from now on. */
  dropped(first: number, [, before, startBytes]: HistoryRecord): void {
    this.#now = { ...this.#now, first, startBytes, droppedThrough: before };
  }
}

export interface Ends {
  /** Number of the oldest change kept. */
  readonly first: number;
  /** Number of the next change. */
  readonly next: number;
  readonly startBytes: number;
  readonly endBytes: number;
  /** Of the newest change. */
  readonly lastRevision: number;
  /** Nothing is certain to be kept of revisions up to here. */
  readonly droppedThrough: number;
}

function readEnds(table: ReadonlyTable<HistoryRecord>): Ends {
  const [oldest] = table.range({ limit: 1 });
  const [newest] = table.range({ limit: 1, reverse: true });
  if (oldest === undefined || newest === undefined) {
    return { first: 1, next: 1, startBytes: 0, endBytes: 0, lastRevision: 0, droppedThrough: 0 };
  }
  const [first, last] = [keyNumber(oldest[0]), keyNumber(newest[0])];
  const [revision, , lastStart] = newest[1];
  const [, droppedThrough, startBytes] = oldest[1];
  const endBytes = lastStart + encode(newest[1]).length;
  return { first, next: last + 1, startBytes, endBytes, lastRevision: revision, droppedThrough };
}

/** Notes one change of a key, and drops the oldest ones beyond the limits. */
export function recordChange(context: ApplyContext, { key, value, version, previous }: ChangedKey): void {
  const history = context.derived<HistoryEnds>();
  const { next, endBytes, lastRevision } = history.ends;
  const was =
    previous === undefined ? null : ([previous.value, previous.revision, previous.version] as const);
  const record: HistoryRecord = [context.position, lastRevision, endBytes, key, value, version, was];
  const bytes = context.table<HistoryRecord>('history').put(numberKey(next), record);
  history.added(context.position, bytes);
  context.emit({ type: 'changed', key, revision: context.position, sequence: next, record });
  trim(context, history);
}

export interface ChangedKey {
  readonly key: string;
  readonly value: string | null;
  readonly version: number;
  readonly previous:
    | { readonly value: string; readonly revision: number; readonly version: number }
    | undefined;
}

/** Many at once, so that most changes drop nothing. */
const DROPPED_SHARE = 100;

/** V4 */
function trim(context: ApplyContext, history: HistoryEnds): void {
  const { eventsLimit, bytesLimit } = history.limits;
  const { first, next, startBytes, endBytes } = history.ends;
  if (next - first > eventsLimit) {
    dropThrough(context, history, first + Math.floor(eventsLimit / DROPPED_SHARE));
  }
  if (endBytes - startBytes <= bytesLimit) return;
  const keptBytes = bytesLimit - Math.floor(bytesLimit / 16);
  while (history.ends.next - history.ends.first > 1) {
    dropThrough(context, history, history.ends.first);
    if (history.ends.endBytes - history.ends.startBytes <= keptBytes) return;
  }
}

function dropThrough(context: ApplyContext, history: HistoryEnds, last: number): void {
  const table = context.table<HistoryRecord>('history');
  for (let sequence = history.ends.first; sequence <= last; sequence += 1) table.delete(numberKey(sequence));
  history.dropped(last + 1, table.get(numberKey(last + 1)) as HistoryRecord);
}

/** Which keys are watched. */
export type KeyFilter = { readonly key: string } | { readonly prefix: string };

export interface HistoryQuestion {
  readonly filter: KeyFilter;
  /** Changes of earlier revisions are left out. */
  readonly fromRevision: number;
  /** Number of the first change that was not looked at; null: the first of `fromRevision`. */
  readonly sequence: number | null;
  /** Changes told at most. */
  readonly eventsLimit: number;
  /** Told changes end once they are about so large. */
  readonly bytesLimit: number;
}

export interface HistoryAnswer {
  readonly events: readonly KvEvent[];
  /** Where to go on. */
  readonly sequence: number;
  /** Every change up to this revision was looked at. */
  readonly revision: number;
  /** There was no further change when this was read. */
  readonly isAtEnd: boolean;
}

/** Changes looked at in one answer, so that reading a long history for one key does not stop everything else. */
const LOOKED_AT_LIMIT = 5_000;

/**
 * What changed from a place in the history on.
 * @param recent changes that are in memory anyway, by number. @throws AspenError COMPACTED when the place is no longer kept.
 */
export function readHistory(
  context: QueryContext,
  question: HistoryQuestion,
  recent: (sequence: number) => HistoryRecord | undefined = () => undefined,
): HistoryAnswer {
  const { ends } = context.derived<HistoryEnds>();
  const table = context.table<HistoryRecord>('history');
  requireKept(ends, question, context.position);
  const start = question.sequence ?? firstSequenceOf(table, ends, question.fromRevision);
  const read = (sequence: number) => recent(sequence) ?? (table.get(numberKey(sequence)) as HistoryRecord);
  return collect({ read, next: ends.next, position: context.position }, question, start);
}

/** Where changes are read from: numbered without a gap up to `next`. */
interface HistorySource {
  readonly read: (sequence: number) => HistoryRecord;
  readonly next: number;
  /** Everything up to here is applied. */
  readonly position: number;
}

/** Gathers what the filter lets through, from `start` on. */
function collect(
  { read, next, position }: HistorySource,
  { filter, fromRevision, eventsLimit, bytesLimit }: HistoryQuestion,
  start: number,
): HistoryAnswer {
  const events: KvEvent[] = [];
  const until = Math.min(next, start + LOOKED_AT_LIMIT);
  let bytes = 0;
  let sequence = start;
  while (sequence < until && events.length < eventsLimit && bytes < bytesLimit) {
    const record = read(sequence);
    sequence += 1;
    if (record[0] < fromRevision || !isWatched(filter, record[3])) continue;
    events.push(eventOf(record));
    bytes += (record[4]?.length ?? 0) + (record[6]?.[0].length ?? 0) + record[3].length;
  }
  const revision = sequence >= next ? position : read(sequence)[0] - 1;
  return { events, sequence, revision: Math.max(revision, fromRevision - 1), isAtEnd: sequence >= next };
}

export function isWatched(filter: KeyFilter, key: string): boolean {
  return 'key' in filter ? filter.key === key : key.startsWith(filter.prefix);
}

export function eventOf([revision, , , key, value, version, previous]: HistoryRecord): KvEvent {
  const event = { type: value === null ? 'delete' : 'put', key, value, revision, version } as const;
  if (previous === null) return event;
  const [was, wroteAt, writes] = previous;
  return { ...event, previous: { value: was, revision: wroteAt, version: writes } };
}

/** Revisions of one epoch of the group: each begins at a multiple of it. */
export const REVISIONS_PER_EPOCH = 2 ** 40;

/** A revision of an earlier epoch may have been told by a replica whose end of the log was lost: nothing can be gone on from it. */
function requireKept(
  { first, droppedThrough }: Ends,
  { fromRevision, sequence }: HistoryQuestion,
  position: number,
): void {
  const epoch = Math.floor(position / REVISIONS_PER_EPOCH);
  const isOfThisEpoch = Math.max(1, Math.floor(fromRevision / REVISIONS_PER_EPOCH)) >= epoch;
  if (isOfThisEpoch && (sequence === null ? fromRevision > droppedThrough : sequence >= first)) return;
  const epochBegin = epoch > 1 ? epoch * REVISIONS_PER_EPOCH : 1;
  throw compacted(fromRevision, Math.max(droppedThrough + 1, epochBegin));
}

function compacted(fromRevision: number, oldestRevision: number): AspenError {
  return new AspenError(
    'COMPACTED',
    `the history of revision ${fromRevision} is no longer kept, the oldest is ${oldestRevision}: read the keys anew and watch from the revision that was read`,
    { details: { fromRevision, oldestRevision } },
  );
}

/** @returns the number of the first change at or after `revision`, by halving. */
function firstSequenceOf(
  table: ReadonlyTable<HistoryRecord>,
  { first, next, lastRevision }: Ends,
  revision: number,
): number {
  if (revision > lastRevision) return next;
  let [low, high] = [first, next - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((table.get(numberKey(middle)) as HistoryRecord)[0] < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
