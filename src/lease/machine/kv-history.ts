import { encode } from '../../base/index.ts';
import { keyNumber, numberKey } from '../../storage/index.ts';
import type { ApplyContext, Derived, ReadonlyTable } from './module.ts';

/**
 * The last changes of keys, for those who watch. Those of one log entry are stored together, since most entries hold many.
 *
 * - V3 Changes are numbered without a gap, in the order in which they happened; those of one command have its revision, and each key has
 *   at most one of them.
 * - V4 Whatever was not dropped for a limit is there, on every replica the same, over restarts and in snapshots; what was dropped is the
 *   oldest, and known by the revision through which it is gone.
 */

/** Changes that are kept at most; those of the newest segment are kept in any case. */
export const KV_HISTORY_EVENTS_LIMIT = 100_000;
/** Their size as stored. */
export const KV_HISTORY_BYTES_LIMIT = 64 * 2 ** 20;
/** A segment ends with this many changes, or when their keys and values are so long. Unit: changes; characters. */
const SEGMENT_EVENTS = 256;
const SEGMENT_TEXT = 256 * 2 ** 10;

export interface HistoryLimits {
  readonly eventsLimit: number;
  readonly bytesLimit: number;
}

/** What a key held before a change. */
type Previous = readonly [value: string, revision: number, version: number];

/** A change as stored. */
export type KvChange = readonly [
  revision: number,
  key: string,
  /** Null: the key was deleted. */
  value: string | null,
  version: number,
  previous: Previous | null,
];

/** Changes that follow each other, under the number of the first. */
export type HistorySegment = readonly [
  /** Revision of the change before the first; 0 where there was none. */
  before: number,
  /** Size of all segments before it. Unit: bytes. */
  startBytes: number,
  changes: readonly KvChange[],
];

/** Where the kept history begins and ends, and how large it is: all of it follows from its first and its last segment. */
export interface Ends {
  /** Number of the oldest change kept. */
  readonly first: number;
  /** Number of the next change. */
  readonly next: number;
  readonly startBytes: number;
  readonly endBytes: number;
  /** Number of the first change of the newest segment. */
  readonly newest: number;
  /** Of the newest change. */
  readonly lastRevision: number;
  /** Nothing is certain to be kept of revisions up to here. */
  readonly droppedThrough: number;
}

/** The ends of what is stored, and the changes of the entry that is being applied. */
export class KvHistory implements Derived {
  readonly limits: HistoryLimits;
  ends: Ends;
  #pending: KvChange[] = [];
  #mark = 0;

  constructor(table: ReadonlyTable<HistorySegment>, limits: HistoryLimits) {
    this.limits = limits;
    this.ends = readEnds(table);
  }

  begin(): void {
    this.#mark = this.#pending.length;
  }

  commit(): void {
    this.#mark = this.#pending.length;
  }

  rollback(): void {
    this.#pending.length = this.#mark;
  }

  /** @returns the number of the change. */
  add(change: KvChange): number {
    return this.ends.next + this.#pending.push(change) - 1;
  }

  takePending(): readonly KvChange[] {
    const pending = this.#pending;
    if (pending.length > 0) this.#pending = [];
    this.#mark = 0;
    return pending;
  }
}

function readEnds(table: ReadonlyTable<HistorySegment>): Ends {
  const [oldest] = table.range({ limit: 1 });
  const [newest] = table.range({ limit: 1, reverse: true });
  if (oldest === undefined || newest === undefined) {
    return {
      first: 1,
      next: 1,
      startBytes: 0,
      endBytes: 0,
      newest: 1,
      lastRevision: 0,
      droppedThrough: 0,
    };
  }
  const [droppedThrough, startBytes] = oldest[1];
  const [, lastStart, changes] = newest[1];
  return {
    first: keyNumber(oldest[0]),
    next: keyNumber(newest[0]) + changes.length,
    newest: keyNumber(newest[0]),
    startBytes,
    endBytes: lastStart + encode(newest[1]).length,
    lastRevision: (changes.at(-1) as KvChange)[0],
    droppedThrough,
  };
}

export interface ChangedKey {
  readonly key: string;
  readonly value: string | null;
  readonly version: number;
  readonly previous:
    | { readonly value: string; readonly revision: number; readonly version: number }
    | undefined;
}

/** Notes one change of a key. */
export function recordChange(context: ApplyContext, { key, value, version, previous }: ChangedKey): void {
  const { position: revision } = context;
  const was: Previous | null =
    previous === undefined ? null : [previous.value, previous.revision, previous.version];
  const change: KvChange = [revision, key, value, version, was];
  const sequence = context.derived<KvHistory>().add(change);
  context.emit({ type: 'changed', sequence, change });
}

/** Stores what was noted, and drops the oldest beyond the limits. To be called when an entry is applied. */
export function storeHistory(context: ApplyContext): void {
  const history = context.derived<KvHistory>();
  const changes = history.takePending();
  if (changes.length === 0) return;
  let [from, textLength] = [0, 0];
  for (const [at, change] of changes.entries()) {
    textLength += textLengthOf(change);
    const isLast = at === changes.length - 1;
    if (!isLast && at - from + 1 < SEGMENT_EVENTS && textLength < SEGMENT_TEXT) continue;
    storeSegment(context, history, changes.slice(from, at + 1));
    [from, textLength] = [at + 1, 0];
  }
  trim(context, history);
}

function storeSegment(context: ApplyContext, history: KvHistory, changes: readonly KvChange[]): void {
  const { next, endBytes, lastRevision } = history.ends;
  const segment: HistorySegment = [lastRevision, endBytes, changes];
  const bytes = context.table<HistorySegment>('history').put(numberKey(next), segment);
  history.ends = {
    ...history.ends,
    next: next + changes.length,
    newest: next,
    endBytes: endBytes + bytes,
    lastRevision: (changes.at(-1) as KvChange)[0],
  };
}

export function textLengthOf([, key, value, , previous]: KvChange): number {
  return key.length + (value?.length ?? 0) + (previous?.[0].length ?? 0);
}

/** Beyond a limit so much is dropped that this share of it is left: most entries drop nothing. */
const KEPT_SHARE = 0.99;

/** V4 */
function trim(context: ApplyContext, history: KvHistory): void {
  const { limits, ends } = history;
  const events = ends.next - ends.first;
  const bytes = ends.endBytes - ends.startBytes;
  if (events <= limits.eventsLimit && bytes <= limits.bytesLimit) return;
  const eventsKept = events > limits.eventsLimit ? limits.eventsLimit * KEPT_SHARE : events;
  const bytesKept = bytes > limits.bytesLimit ? limits.bytesLimit * KEPT_SHARE : bytes;
  const table = context.table<HistorySegment>('history');
  const dropped: string[] = [];
  for (const [key, [before, startBytes]] of table.range({})) {
    const first = keyNumber(key);
    history.ends = { ...ends, first, startBytes, droppedThrough: before };
    const isSmall = ends.next - first <= eventsKept && ends.endBytes - startBytes <= bytesKept;
    if (isSmall || first === ends.newest) break;
    dropped.push(key);
  }
  for (const key of dropped) table.delete(key);
}
