import { FinishedCounts } from './finished-counts.ts';
import { HookBook } from './hooks/hook-book.ts';
import { JobPlaces, type Owner, type Placed, setKey } from './job-places.ts';
import { LateRows } from './late-rows.ts';
import { LimitBook } from './limits.ts';
import { type Derived, type Key, numberKey, SortedKeys, type Volume } from './machine-port.ts';
import { NewIds } from './new-ids.ts';
import { type IndexedRecord, isFinal, type JobRecord, type JobState } from './record.ts';
import { RecordCache } from './record-cache.ts';
import { Tallies } from './tallies.ts';

const DUE_BYTES = 8;
/** Behind the id of a parent, before what is told apart for it; less than any character of an id. */
export const SEPARATOR = '\u0000';

type Move = readonly [before: JobRecord | undefined, after: JobRecord | undefined];

/**
 * What is known of unfinished jobs without looking at the disk: which wait in which order, which are due when, which run. Finished jobs
 * cost nothing here. Each key ends with the job's id, so that no index needs values.
 *
 * - J1 A function of the records: changed with each of them in one command, taken back when the command is refused, and made anew from
 *   the tables when a replica starts.
 */
export class LiveIndex implements Derived {
  readonly #places = new JobPlaces();
  readonly #due = new SortedKeys();
  readonly #planned = new SortedKeys();
  readonly #dependents = new SortedKeys();
  readonly #cache = new RecordCache();
  readonly tallies = new Tallies();
  readonly limits = new LimitBook();
  readonly hooks = new HookBook();
  readonly finished = new FinishedCounts();
  readonly late = new LateRows();
  readonly newIds: NewIds;
  /** Sessions by node that were looked up since any was opened or closed (J6). */
  readonly sessions = new Map<string, string>();
  /** Position of the last move of a job; undefined when there was none since this was made. */
  changedAt: number | undefined;
  /** Of the present command. */
  #moves: Move[] = [];
  #touched: string[] = [];
  #spent = 0;
  #madeCount = 0;

  constructor(newIds = new NewIds()) {
    this.newIds = newIds;
  }

  get behind(): Volume {
    return this.late.volume;
  }

  begin(): void {
    this.#moves = [];
    this.#touched = [];
    this.#spent = 0;
    this.#madeCount = 0;
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
    for (const [before, after] of this.#moves.reverse()) this.#turn(after, before);
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
    this.#moves.push([before, after]);
    this.#turn(before, after);
  }

  /** Takes in a record that it does not know, which nobody will take back: at a start, one for each unfinished job. */
  load(record: IndexedRecord): void {
    this.#places.load(record);
    this.#count(record, true);
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
  ready(from: Key): Generator<{ readonly key: Key; readonly id: string }, void, undefined> {
    return this.#places.ready(from);
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
    return this.#places.countOf(state);
  }

  /** Jobs of one state that were submitted before the place `before`, the newest first. */
  newestFirst(state: JobState, before: Key = '\u00ff'): Iterable<Placed> {
    return this.#places.newestFirst(state, before);
  }

  /** The same for unfinished jobs of a queue, or a namespace, that is not the default one. */
  newestOf(owner: Owner, name: string, before: Key = '\u00ff'): Iterable<Placed> {
    return this.#places.newestOf(owner, name, before);
  }

  countOfOwner(owner: Owner, name: string): number {
    return this.#places.countOfOwner(owner, name);
  }

  /** Everything it knows, for comparing two of them. */
  describe(): Readonly<Record<string, unknown>> {
    const all = (keys: SortedKeys) => [...keys.range({ from: '', to: '\u00ff'.repeat(3) })];
    return {
      ...this.#places.describe(),
      due: all(this.#due),
      planned: all(this.#planned),
      dependents: all(this.#dependents),
      tallies: this.tallies.describe(),
      limits: this.limits.describe(),
      hooks: this.hooks.describe(),
      finished: this.finished.describe(),
    };
  }

  #turn(before: IndexedRecord | undefined, after: IndexedRecord | undefined): void {
    this.#places.move((after ?? before)?.id as string, before, after);
    if (before !== undefined) this.#count(before, false);
    if (after !== undefined) this.#count(after, true);
  }

  #count(record: IndexedRecord, isThere: boolean): void {
    const { id, state } = record;
    if (isFinal(state)) return;
    this.tallies.add(record, isThere ? 1 : -1);
    if (record.dueGroupMs !== null && (state === 'scheduled' || state === 'queued'))
      setKey(this.#due, numberKey(record.dueGroupMs) + id, isThere);
    const plannedMs = nextInstantMs(record);
    if (plannedMs !== null) setKey(this.#planned, numberKey(plannedMs) + id, isThere);
    for (const at of record.unmet) {
      const parent = record.spec.dependsOn[at]?.id;
      setKey(this.#dependents, `${parent}${SEPARATOR}${id}`, isThere);
    }
  }
}

/** @returns wall time of the next thing that is planned for the job; null when nothing is. */
export function nextInstantMs({ state, dueGroupMs, spec }: IndexedRecord): number | null {
  if (state === 'cancelling') return null;
  return state === 'scheduled' && dueGroupMs === null ? spec.runAtMs : spec.deadlineAtMs;
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
