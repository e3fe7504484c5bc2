import { type Derived, type Key, numberKey, SortedKeys } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { RecordCache } from './record-cache.ts';

/** Bytes that stand before the id in the keys of each index. */
const PLACE_BYTES = 16;
const READY_BYTES = 1 + PLACE_BYTES;
const DUE_BYTES = 8;

type Undo = readonly [keys: SortedKeys, key: Key, wasAdded: boolean];

/**
 * What is known of unfinished jobs without looking at the disk: which wait in which order, which are due when, which run. Finished jobs
 * cost nothing here. Each key ends with the job's id, so that no index needs values.
 *
 * - J1 A function of the records: changed with each of them in one command, taken back when the command is refused, and made anew from
 *   the tables when a replica starts.
 */
export class LiveIndex implements Derived {
  readonly #ready = new SortedKeys();
  readonly #due = new SortedKeys();
  readonly #byState = new Map<JobState, SortedKeys>();
  readonly #cache = new RecordCache();
  #undo: Undo[] = [];
  #touched: string[] = [];

  begin(): void {
    this.#undo = [];
    this.#touched = [];
  }

  commit(): void {
    this.begin();
  }

  rollback(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const [keys, key, wasAdded] = step;
      if (wasAdded) keys.remove(key);
      else keys.add(key);
    }
    for (const id of this.#touched) this.#cache.drop(id);
    this.begin();
  }

  /** Takes over that `before` became `after`; either may be missing. */
  move(before: JobRecord | undefined, after: JobRecord | undefined): void {
    if (before?.state === after?.state && before?.dueGroupMs === after?.dueGroupMs) return;
    if (before !== undefined) this.#place(before, false);
    if (after !== undefined) this.#place(after, true);
  }

  cached(id: string): JobRecord | undefined {
    return this.#cache.find(id);
  }

  /** @param bytes about how much memory it takes. */
  keep(record: JobRecord, bytes: number): void {
    this.#touched.push(record.id);
    this.#cache.keep(record, bytes);
  }

  drop(id: string): void {
    this.#cache.drop(id);
  }

  /** Waiting jobs from `from` on, the most urgent first. */
  *ready(from: Key): Generator<{ readonly key: Key; readonly id: string }, void, undefined> {
    for (const entry of this.#ready.range({ from, to: '\u00ff' })) {
      yield { key: entry.slice(0, READY_BYTES), id: entry.slice(READY_BYTES) };
    }
  }

  /** @returns ids of scheduled jobs that are due at `groupMs`, the earliest first. */
  due(groupMs: number, limit: number): string[] {
    const ids: string[] = [];
    for (const entry of this.#due.range({ from: '', to: numberKey(groupMs + 1) })) {
      if (ids.length === limit) break;
      ids.push(entry.slice(DUE_BYTES));
    }
    return ids;
  }

  /** @returns the first key of the scheduled jobs, which begins with when it is due. */
  firstDue(): Key | undefined {
    for (const entry of this.#due.range({ from: '', to: '\u00ff\u00ff' })) return entry;
    return undefined;
  }

  countOf(state: JobState): number {
    return this.#byState.get(state)?.size ?? 0;
  }

  /** Jobs of one state that were submitted before the place `before`, the newest first. */
  *newestFirst(
    state: JobState,
    before: Key = '\u00ff',
  ): Generator<{ readonly place: Key; readonly id: string }, void, undefined> {
    const keys = this.#byState.get(state);
    if (keys === undefined) return;
    for (const entry of keys.range({ from: '', to: before, reverse: true })) {
      yield { place: entry.slice(0, PLACE_BYTES), id: entry.slice(PLACE_BYTES) };
    }
  }

  /** Everything it knows, for comparing two of them. */
  describe(): Readonly<Record<string, readonly Key[]>> {
    const all = (keys: SortedKeys) => [...keys.range({ from: '', to: '\u00ff'.repeat(3) })];
    const states = [...this.#byState].filter(([, keys]) => keys.size > 0).sort();
    return {
      ready: all(this.#ready),
      due: all(this.#due),
      ...Object.fromEntries(states.map(([state, keys]) => [state, all(keys)])),
    };
  }

  #place(record: JobRecord, isThere: boolean): void {
    const { id, state } = record;
    if (isFinal(state)) return;
    this.#set(this.#stateKeys(state), placeKey(record) + id, isThere);
    if (state === 'queued') this.#set(this.#ready, readyKey(record) + id, isThere);
    if (state === 'scheduled') this.#set(this.#due, numberKey(record.dueGroupMs ?? 0) + id, isThere);
  }

  #set(keys: SortedKeys, key: Key, isThere: boolean): void {
    if (isThere) keys.add(key);
    else keys.remove(key);
    this.#undo.push([keys, key, isThere]);
  }

  #stateKeys(state: JobState): SortedKeys {
    const known = this.#byState.get(state);
    if (known !== undefined) return known;
    const keys = new SortedKeys();
    this.#byState.set(state, keys);
    return keys;
  }
}

/** Higher priority first, then the order of submission. */
export function readyKey(record: Pick<JobRecord, 'spec' | 'position' | 'offset'>): Key {
  return String.fromCharCode(10 - record.spec.priority) + placeKey(record);
}

/** Unique to a job, in the order of submission. */
export function placeKey({ position, offset }: Pick<JobRecord, 'position' | 'offset'>): Key {
  return numberKey(position) + numberKey(offset);
}
