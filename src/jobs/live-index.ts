import { FinishedCounts } from './finished-counts.ts';
import { HookBook } from './hooks/hook-book.ts';
import { LateRows } from './late-rows.ts';
import { LimitBook } from './limits.ts';
import { type Derived, type Key, numberKey, SortedKeys, type Volume } from './machine-port.ts';
import { type IndexedRecord, isFinal, type JobRecord, type JobState } from './record.ts';
import { RecordCache } from './record-cache.ts';
import { SPEC_BASE } from './spec.ts';
import { Tallies } from './tallies.ts';

/** Bytes that stand before the id in the keys of each index. */
const PLACE_BYTES = 16;
const READY_BYTES = 8 + PLACE_BYTES;
const DUE_BYTES = 8;
/** Between the ids of a parent and of one who waits for it; less than any character of an id. */
const SEPARATOR = '\u0000';

/** A job is as urgent as one of the next higher priority that became ready so much later. Unit: ms of group time. */
export const PRIORITY_STEP_MS = 5 * 60_000;
export const HIGHEST_PRIORITY = 10;

export type Owner = 'queue' | 'namespace';

/** A job in an index that is in the order of submission. */
export interface Placed {
  readonly place: Key;
  readonly id: string;
}

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
  readonly #planned = new SortedKeys();
  readonly #dependents = new SortedKeys();
  readonly #byState = new Map<JobState, SortedKeys>();
  /** By queue and by namespace, where those are not the default ones. */
  readonly #byOwner = new Map<string, SortedKeys>();
  /** Those that lost a job in the present command. */
  readonly #left = new Set<string>();
  readonly #cache = new RecordCache();
  readonly tallies = new Tallies();
  readonly limits = new LimitBook();
  readonly hooks = new HookBook();
  readonly finished = new FinishedCounts();
  readonly late = new LateRows();
  /** Position of the last move of a job; undefined when there was none since this was made. */
  changedAt: number | undefined;
  #undo: Undo[] = [];
  #counted: (readonly [record: IndexedRecord, change: 1 | -1])[] = [];
  #touched: string[] = [];
  #spent = 0;
  #madeCount = 0;
  #isLoading = false;

  get behind(): Volume {
    return this.late.volume;
  }

  begin(): void {
    this.#undo = [];
    this.#counted = [];
    this.#touched = [];
    this.#spent = 0;
    this.#madeCount = 0;
    if (this.#left.size > 0) this.#forgetEmpty();
    this.limits.begin();
    this.hooks.begin();
    this.finished.begin();
    this.late.begin();
  }

  commit(): void {
    this.begin();
    this.late.commit();
  }

  rollback(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const [keys, key, wasAdded] = step;
      if (wasAdded) keys.remove(key);
      else keys.add(key);
    }
    for (const [record, change] of this.#counted) this.tallies.add(record, change === 1 ? -1 : 1);
    this.limits.rollback();
    this.hooks.rollback();
    this.finished.rollback();
    this.late.rollback();
    for (const id of this.#touched) this.#cache.drop(id);
    this.commit();
  }

  /** Takes over that `before` became `after`; either may be missing. */
  move(before: JobRecord | undefined, after: JobRecord | undefined): void {
    if (
      before?.state === after?.state &&
      before?.dueGroupMs === after?.dueGroupMs &&
      before?.unmet === after?.unmet
    )
      return;
    if (before !== undefined) this.#place(before, false);
    if (after !== undefined) this.#place(after, true);
  }

  /** Takes in a record that it does not know, which nobody will take back: at a start, one for each unfinished job. */
  load(record: IndexedRecord): void {
    this.#isLoading = true;
    this.#place(record, true);
    this.#isLoading = false;
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

  /** @returns ids of jobs for which something is due at the group time `groupMs`, the earliest first. */
  due(groupMs: number, limit: number): string[] {
    return idsUntil(this.#due, groupMs, limit);
  }

  /** @returns ids of jobs whose next planned instant is not after `wallMs`, the earliest first. */
  planned(wallMs: number, limit: number): string[] {
    return idsUntil(this.#planned, wallMs, limit);
  }

  /** @returns the first key of those that are due at some time, which begins with that group time. */
  firstDue(): Key | undefined {
    return firstOf(this.#due);
  }

  /** @returns the first key of those with a planned instant, which begins with it. */
  firstPlanned(): Key | undefined {
    return firstOf(this.#planned);
  }

  /** Whether an unfinished job waits for the end of that one. */
  hasDependents(parent: string): boolean {
    return this.#dependents.size > 0 && this.dependentsOf(parent, '', 1).length > 0;
  }

  /** @returns ids of jobs that wait for the end of `parent`, in order, those after `after`. */
  dependentsOf(parent: string, after: string, limit: number): string[] {
    const ids: string[] = [];
    const range = { from: `${parent}${SEPARATOR}${after}`, to: `${parent}${SEPARATOR}\u00ff` };
    for (const entry of limit > 0 ? this.#dependents.range(range) : []) {
      const id = entry.slice(parent.length + 1);
      if (id === after) continue;
      ids.push(id);
      if (ids.length === limit) break;
    }
    return ids;
  }

  /** What the present command may still do of work that is bounded for each command. */
  movesLeft(limit: number): number {
    return Math.max(0, limit - this.#spent);
  }

  spend(moves: number): void {
    this.#spent += moves;
  }

  /** @returns 0 for the first job that the present command makes by itself, then 1, and so on. */
  countMade(): number {
    this.#madeCount += 1;
    return this.#madeCount - 1;
  }

  countOf(state: JobState): number {
    return this.#byState.get(state)?.size ?? 0;
  }

  /** Jobs of one state that were submitted before the place `before`, the newest first. */
  *newestFirst(
    state: JobState,
    before: Key = '\u00ff',
  ): Generator<{ readonly place: Key; readonly id: string }, void, undefined> {
    yield* placesBefore(this.#byState.get(state), before);
  }

  /** The same for unfinished jobs of a queue, or a namespace, that is not the default one. */
  newestOf(owner: Owner, name: string, before: Key = '\u00ff'): Iterable<Placed> {
    return placesBefore(this.#byOwner.get(`${owner}/${name}`), before);
  }

  countOfOwner(owner: Owner, name: string): number {
    return this.#byOwner.get(`${owner}/${name}`)?.size ?? 0;
  }

  /** Everything it knows, for comparing two of them. */
  describe(): Readonly<Record<string, unknown>> {
    const all = (keys: SortedKeys) => [...keys.range({ from: '', to: '\u00ff'.repeat(3) })];
    const owners = [...this.#byOwner].filter(([, keys]) => keys.size > 0).sort();
    const states = [...this.#byState].filter(([, keys]) => keys.size > 0).sort();
    return {
      ready: all(this.#ready),
      due: all(this.#due),
      planned: all(this.#planned),
      dependents: all(this.#dependents),
      ...Object.fromEntries([...states, ...owners].map(([name, keys]) => [name, all(keys)])),
      tallies: this.tallies.describe(),
      limits: this.limits.describe(),
      hooks: this.hooks.describe(),
      finished: this.finished.describe(),
    };
  }

  #place(record: IndexedRecord, isThere: boolean): void {
    const { id, state } = record;
    if (isFinal(state)) return;
    const change = isThere ? 1 : -1;
    this.tallies.add(record, change);
    if (!this.#isLoading) this.#counted.push([record, change]);
    this.#set(this.#stateKeys(state), placeKey(record) + id, isThere);
    if (record.spec.queue !== SPEC_BASE.queue) this.#own('queue', record.spec.queue, record, isThere);
    if (record.spec.namespace !== SPEC_BASE.namespace)
      this.#own('namespace', record.spec.namespace, record, isThere);
    if (state === 'queued') this.#set(this.#ready, readyKey(record) + id, isThere);
    if (record.dueGroupMs !== null && (state === 'scheduled' || state === 'queued'))
      this.#set(this.#due, numberKey(record.dueGroupMs) + id, isThere);
    const plannedMs = nextInstantMs(record);
    if (plannedMs !== null) this.#set(this.#planned, numberKey(plannedMs) + id, isThere);
    for (const at of record.unmet) {
      const parent = record.spec.dependsOn[at]?.id;
      this.#set(this.#dependents, `${parent}${SEPARATOR}${id}`, isThere);
    }
  }

  #own(owner: Owner, name: string, record: IndexedRecord, isThere: boolean): void {
    const named = `${owner}/${name}`;
    const keys = this.#byOwner.get(named) ?? new SortedKeys();
    this.#byOwner.set(named, keys);
    this.#set(keys, placeKey(record) + record.id, isThere);
    if (!isThere) this.#left.add(named);
  }

  /** A queue that nothing waits or runs in any more costs nothing. */
  #forgetEmpty(): void {
    for (const named of this.#left) if (this.#byOwner.get(named)?.size === 0) this.#byOwner.delete(named);
    this.#left.clear();
  }

  #set(keys: SortedKeys, key: Key, isThere: boolean): void {
    if (isThere) keys.add(key);
    else keys.remove(key);
    if (!this.#isLoading) this.#undo.push([keys, key, isThere]);
  }

  #stateKeys(state: JobState): SortedKeys {
    const known = this.#byState.get(state);
    if (known !== undefined) return known;
    const keys = new SortedKeys();
    this.#byState.set(state, keys);
    return keys;
  }
}

/** @returns wall time of the next thing that is planned for the job; null when nothing is. */
export function nextInstantMs({ state, dueGroupMs, spec }: IndexedRecord): number | null {
  if (state === 'cancelling') return null;
  return state === 'scheduled' && dueGroupMs === null ? spec.runAtMs : spec.deadlineAtMs;
}

/**
 * The order in which jobs are given out: by priority and by how long they wait, then by submission.
 *
 * - J7 Nobody starves: a job that has been ready for {@link PRIORITY_STEP_MS} longer stands beside those of the next higher priority. The
 *   key says so by itself and never changes while the job waits, so ageing costs nothing.
 */
export function readyKey(record: Pick<IndexedRecord, 'spec' | 'position' | 'offset' | 'readyGroupMs'>): Key {
  const handicapMs = (HIGHEST_PRIORITY - record.spec.priority) * PRIORITY_STEP_MS;
  return numberKey((record.readyGroupMs ?? 0) + handicapMs) + placeKey(record);
}

/** Unique to a job, in the order of submission. */
export function placeKey({ position, offset }: Pick<IndexedRecord, 'position' | 'offset'>): Key {
  return numberKey(position) + numberKey(offset);
}

function idsUntil(keys: SortedKeys, atMs: number, limit: number): string[] {
  const ids: string[] = [];
  for (const entry of keys.range({ from: '', to: numberKey(atMs + 1) })) {
    if (ids.length === limit) break;
    ids.push(entry.slice(DUE_BYTES));
  }
  return ids;
}

function firstOf(keys: SortedKeys): Key | undefined {
  for (const entry of keys.range({ from: '', to: '\u00ff\u00ff' })) return entry;
  return undefined;
}

function* placesBefore(keys: SortedKeys | undefined, before: Key): Generator<Placed, void, undefined> {
  if (keys === undefined) return;
  for (const entry of keys.range({ from: '', to: before, reverse: true }))
    yield { place: entry.slice(0, PLACE_BYTES), id: entry.slice(PLACE_BYTES) };
}
