import { SlotMap } from '../base/index.ts';
import { type Key, numberKey, SortedKeys } from './machine-port.ts';
import { type IndexedRecord, isFinal, type JobState } from './record.ts';
import { SPEC_BASE } from './spec.ts';

/** Bytes that stand before the id in the keys of each index. */
const PLACE_BYTES = 16;
const READY_BYTES = 8 + PLACE_BYTES;
/** Jobs whose places may be behind; then all of them are put right. */
const BEHIND_LIMIT = 1_024;

/** A job is as urgent as one of the next higher priority that became ready so much later. Unit: ms of group time. */
export const PRIORITY_STEP_MS = 5 * 60_000;
export const HIGHEST_PRIORITY = 10;

export type Owner = 'queue' | 'namespace';

/** A job in an index that is in the order of submission. */
export interface Placed {
  readonly place: Key;
  readonly id: string;
}

interface Behind {
  /** The record by which it stands in the indexes; undefined when it does not. */
  readonly placed: IndexedRecord | undefined;
  /** The record as it is; undefined for a job that was removed. */
  readonly now: IndexedRecord | undefined;
}

/**
 * Where unfinished jobs stand: in the order in which they are given out, and, by state and owner, in the order of submission. Who looks is
 * rare, and who moves is not: moves are noted, and made when somebody looks, so that a job which comes, runs and ends meanwhile is never
 * placed at all.
 */
export class JobPlaces {
  readonly #ready = new SortedKeys();
  readonly #byState = new Map<JobState, SortedKeys>();
  /** By queue and by namespace, where those are not the default ones. */
  readonly #byOwner = new Map<string, SortedKeys>();
  readonly #behind = new SlotMap<string, Behind>();

  /** Notes that `before` became `after`, either may be missing. Taken back by the same, turned round. */
  move(id: string, before: IndexedRecord | undefined, after: IndexedRecord | undefined): void {
    const known = this.#behind.get(id);
    const placed = known === undefined ? before : known.placed;
    if (isNowhere(placed) && isNowhere(after)) {
      if (known !== undefined) this.#behind.delete(id);
      return;
    }
    this.#behind.set(id, { placed, now: after });
    if (known === undefined && this.#behind.size > BEHIND_LIMIT) this.#catchUp();
  }

  /** Takes in a record that it does not know. */
  load(record: IndexedRecord): void {
    this.#place(record, true);
  }

  /** Waiting jobs from `from` on, the most urgent first. */
  *ready(from: Key): Generator<{ readonly key: Key; readonly id: string }, void, undefined> {
    this.#catchUp();
    for (const entry of this.#ready.range({ from, to: '\u00ff' })) {
      yield { key: entry.slice(0, READY_BYTES), id: entry.slice(READY_BYTES) };
    }
  }

  countOf(state: JobState): number {
    this.#catchUp();
    return this.#byState.get(state)?.size ?? 0;
  }

  /** Jobs of one state that were submitted before the place `before`, the newest first. */
  newestFirst(state: JobState, before: Key): Iterable<Placed> {
    this.#catchUp();
    return placesBefore(this.#byState.get(state), before);
  }

  countOfOwner(owner: Owner, name: string): number {
    this.#catchUp();
    return this.#byOwner.get(ownerName(owner, name))?.size ?? 0;
  }

  /** The same for unfinished jobs of a queue, or a namespace, that is not the default one. */
  newestOf(owner: Owner, name: string, before: Key): Iterable<Placed> {
    this.#catchUp();
    return placesBefore(this.#byOwner.get(ownerName(owner, name)), before);
  }

  /** Everything it knows, for comparing two of them. */
  describe(): Readonly<Record<string, unknown>> {
    this.#catchUp();
    const named = [...[...this.#byState].sort(), ...[...this.#byOwner].sort()].filter(
      ([, keys]) => keys.size > 0,
    );
    return {
      ready: allOf(this.#ready),
      ...Object.fromEntries(named.map(([name, keys]) => [name, allOf(keys)])),
    };
  }

  #catchUp(): void {
    if (this.#behind.size === 0) return;
    const left = new Set<string>();
    for (const { placed, now } of this.#behind.values()) {
      if (placed !== undefined) {
        this.#place(placed, false);
        for (const name of ownersOf(placed)) left.add(name);
      }
      if (now !== undefined) this.#place(now, true);
    }
    this.#behind.clear();
    for (const name of left) if (this.#byOwner.get(name)?.size === 0) this.#byOwner.delete(name);
  }

  #place(record: IndexedRecord, isThere: boolean): void {
    const { id, state } = record;
    if (isFinal(state)) return;
    const key = placeKey(record) + id;
    setKey(keysOf(this.#byState, state), key, isThere);
    for (const name of ownersOf(record)) setKey(keysOf(this.#byOwner, name), key, isThere);
    if (state === 'queued') setKey(this.#ready, urgencyKey(record) + key, isThere);
  }
}

/**
 * The order in which jobs are given out: by priority and by how long they wait, then by submission.
 *
 * - J7 Nobody starves: a job that has been ready for {@link PRIORITY_STEP_MS} longer stands beside those of the next higher priority. The
 *   key says so by itself and never changes while the job waits, so ageing costs nothing.
 */
export function readyKey(record: Pick<IndexedRecord, 'spec' | 'position' | 'offset' | 'readyGroupMs'>): Key {
  return urgencyKey(record) + placeKey(record);
}

function urgencyKey({ spec, readyGroupMs }: Pick<IndexedRecord, 'spec' | 'readyGroupMs'>): Key {
  const handicapMs = (HIGHEST_PRIORITY - spec.priority) * PRIORITY_STEP_MS;
  return numberKey((readyGroupMs ?? 0) + handicapMs);
}

/** Unique to a job, in the order of submission. */
export function placeKey({ position, offset }: Pick<IndexedRecord, 'position' | 'offset'>): Key {
  return numberKey(position) + numberKey(offset);
}

function isNowhere(record: IndexedRecord | undefined): boolean {
  return record === undefined || isFinal(record.state);
}

/** @returns names of those, beside the default ones, that the job is found by. */
function ownersOf({ spec: { queue, namespace } }: IndexedRecord): readonly string[] {
  if (queue === SPEC_BASE.queue && namespace === SPEC_BASE.namespace) return NO_NAMES;
  return [
    ...(queue === SPEC_BASE.queue ? [] : [ownerName('queue', queue)]),
    ...(namespace === SPEC_BASE.namespace ? [] : [ownerName('namespace', namespace)]),
  ];
}

const NO_NAMES: readonly string[] = [];

function ownerName(owner: Owner, name: string): string {
  return `${owner}/${name}`;
}

function keysOf<N>(tables: Map<N, SortedKeys>, name: N): SortedKeys {
  const known = tables.get(name);
  if (known !== undefined) return known;
  const keys = new SortedKeys();
  tables.set(name, keys);
  return keys;
}

export function setKey(keys: SortedKeys, key: Key, isThere: boolean): void {
  if (isThere) keys.add(key);
  else keys.remove(key);
}

function allOf(keys: SortedKeys): readonly Key[] {
  return [...keys.range({ from: '', to: '\u00ff'.repeat(3) })];
}

function* placesBefore(keys: SortedKeys | undefined, before: Key): Generator<Placed, void, undefined> {
  if (keys === undefined) return;
  for (const entry of keys.range({ from: '', to: before, reverse: true }))
    yield { place: entry.slice(0, PLACE_BYTES), id: entry.slice(PLACE_BYTES) };
}
