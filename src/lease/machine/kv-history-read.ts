import { AspenError, invariant } from '../../base/index.ts';
import { keyNumber, numberKey } from '../../storage/index.ts';
import { type Ends, type HistorySegment, type KvChange, type KvHistory, textLengthOf } from './kv-history.ts';
import type { QueryContext, ReadonlyTable } from './module.ts';

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
  /** No change is told after so much of keys and values. Unit: characters. */
  readonly textLimit: number;
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
  recent: (sequence: number) => KvChange | undefined = () => undefined,
): HistoryAnswer {
  const { ends } = context.derived<KvHistory>();
  requireKept(ends, question, context.position);
  const stored = readerOf(context.table<HistorySegment>('history'));
  const start = startOf(stored, ends, question);
  const read = (sequence: number) => recent(sequence) ?? stored(sequence);
  return collect({ read, next: ends.next, position: context.position }, question, start);
}

/** @returns what reads a change by its number; changes that follow each other mostly come from one segment, read once. */
function readerOf(table: ReadonlyTable<HistorySegment>): (sequence: number) => KvChange {
  let first = 0;
  let changes: readonly KvChange[] = [];
  return (sequence) => {
    if (sequence < first || sequence >= first + changes.length) {
      for (const [key, segment] of table.range({ to: numberKey(sequence + 1), reverse: true, limit: 1 })) {
        first = keyNumber(key);
        changes = segment[2];
      }
    }
    const change = changes[sequence - first];
    invariant(
      change !== undefined,
      () => `change ${sequence} of the history is within its ends, and missing`,
    );
    return change;
  };
}

/** Where changes are read from: numbered without a gap up to `next`. */
interface HistorySource {
  readonly read: (sequence: number) => KvChange;
  readonly next: number;
  /** Everything up to here is applied. */
  readonly position: number;
}

/** A replica that was behind names its end of then: what was dropped since is of earlier revisions than are asked for. */
function startOf(
  read: (sequence: number) => KvChange,
  ends: Ends,
  { fromRevision, sequence }: HistoryQuestion,
): number {
  return sequence === null ? firstSequenceOf(read, ends, fromRevision) : Math.max(sequence, ends.first);
}

/** Gathers what the filter lets through, from `start` on. */
function collect(
  { read, next, position }: HistorySource,
  { filter, fromRevision, eventsLimit, textLimit }: HistoryQuestion,
  start: number,
): HistoryAnswer {
  const events: KvEvent[] = [];
  const until = Math.min(next, start + LOOKED_AT_LIMIT);
  let textLength = 0;
  let sequence = start;
  while (sequence < until && events.length < eventsLimit && textLength < textLimit) {
    const change = read(sequence);
    sequence += 1;
    if (change[0] < fromRevision || !isWatched(filter, change[1])) continue;
    events.push(eventOf(change));
    textLength += textLengthOf(change);
  }
  const revision = sequence >= next ? position : read(sequence)[0] - 1;
  return { events, sequence, revision: Math.max(revision, fromRevision - 1), isAtEnd: sequence >= next };
}

export function isWatched(filter: KeyFilter, key: string): boolean {
  return 'key' in filter ? filter.key === key : key.startsWith(filter.prefix);
}

function eventOf([revision, key, value, version, previous]: KvChange): KvEvent {
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
  const isKept = fromRevision > droppedThrough || (sequence !== null && sequence >= first);
  if (isOfThisEpoch && isKept) return;
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
  read: (sequence: number) => KvChange,
  { first, next, lastRevision }: Ends,
  revision: number,
): number {
  if (revision > lastRevision) return next;
  let [low, high] = [first, next - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (read(middle)[0] < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
