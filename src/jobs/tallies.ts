import { type IndexedRecord, isFinal, type JobState } from './record.ts';

/** Unfinished jobs of one queue, or of one namespace. */
export interface Tally {
  /** All that hold no slot: queued, scheduled and the like. */
  readonly waiting: number;
  /** Attempts that hold a slot, those that are being cancelled included. */
  readonly running: number;
}

export interface QueueTally extends Tally {
  /** By state; a state that no job is in may be missing. */
  readonly states: Readonly<Partial<Record<JobState, number>>>;
}

type Counted = { -readonly [field in keyof Tally]: Tally[field] };
interface CountedQueue extends Counted {
  readonly states: Partial<Record<JobState, number>>;
}

const NONE: QueueTally = Object.freeze({ waiting: 0, running: 0, states: Object.freeze({}) });

/**
 * How many unfinished jobs there are: in all, by queue and state, by namespace, and how many run by queue and concurrency key. What a
 * limit is compared with.
 *
 * - Q1 A function of the records of unfinished jobs, like the other indexes in memory (J1).
 */
export class Tallies {
  readonly #all: Counted = { waiting: 0, running: 0 };
  readonly #queues = new Map<string, CountedQueue>();
  readonly #namespaces = new Map<string, Counted>();
  readonly #runningOfKey = new Map<string, number>();

  get all(): Tally {
    return this.#all;
  }

  ofQueue(name: string): QueueTally {
    return this.#queues.get(name) ?? NONE;
  }

  ofNamespace(name: string): Tally {
    return this.#namespaces.get(name) ?? NONE;
  }

  runningOfKey(queue: string, concurrencyKey: string): number {
    return this.#runningOfKey.get(keyName(queue, concurrencyKey)) ?? 0;
  }

  /** Queues that hold unfinished jobs, in no order. */
  queueNames(): Iterable<string> {
    return this.#queues.keys();
  }

  /** Namespaces that hold unfinished jobs, in no order. */
  namespaceNames(): Iterable<string> {
    return this.#namespaces.keys();
  }

  /** @param change 1 for a record that is there now, -1 for one that is not any more; final ones count nothing. */
  add({ spec, state }: Pick<IndexedRecord, 'spec' | 'state'>, change: 1 | -1): void {
    if (isFinal(state)) return;
    const field = holdsSlot(state) ? 'running' : 'waiting';
    this.#all[field] += change;
    this.#addToQueue(spec.queue, state, field, change);
    const ofNamespace = found(this.#namespaces, spec.namespace, () => ({ waiting: 0, running: 0 }));
    ofNamespace[field] += change;
    if (ofNamespace.waiting === 0 && ofNamespace.running === 0) this.#namespaces.delete(spec.namespace);
    if (spec.concurrencyKey !== null && field === 'running')
      this.#addToKey(keyName(spec.queue, spec.concurrencyKey), change);
  }

  /** Everything it knows, for comparing two of them. */
  describe(): Readonly<Record<string, unknown>> {
    const inOrder = <V>(map: ReadonlyMap<string, V>) =>
      Object.fromEntries([...map].sort(([left], [right]) => (left < right ? -1 : 1)));
    const queues = new Map(
      [...this.#queues].map(([name, { waiting, running, states }]) => {
        const present = Object.entries(states).filter(([, count]) => count !== 0);
        return [name, { waiting, running, states: Object.fromEntries(present.sort()) }];
      }),
    );
    return {
      all: { ...this.#all },
      queues: inOrder(queues),
      namespaces: inOrder(this.#namespaces),
      keys: inOrder(this.#runningOfKey),
    };
  }

  #addToQueue(name: string, state: JobState, field: keyof Tally, change: 1 | -1): void {
    const queue = found(this.#queues, name, (): CountedQueue => ({ waiting: 0, running: 0, states: {} }));
    queue[field] += change;
    queue.states[state] = (queue.states[state] ?? 0) + change;
    if (queue.waiting === 0 && queue.running === 0) this.#queues.delete(name);
  }

  #addToKey(name: string, change: 1 | -1): void {
    const count = (this.#runningOfKey.get(name) ?? 0) + change;
    if (count === 0) this.#runningOfKey.delete(name);
    else this.#runningOfKey.set(name, count);
  }
}

/** Whether an attempt of the job is with a node. */
export function holdsSlot(state: JobState): boolean {
  return state === 'running' || state === 'cancelling';
}

function keyName(queue: string, concurrencyKey: string): string {
  return `${queue}\u0000${concurrencyKey}`;
}

function found<V>(map: Map<string, V>, name: string, make: () => V): V {
  const known = map.get(name);
  if (known !== undefined) return known;
  const made = make();
  map.set(name, made);
  return made;
}
