import { z } from 'zod';
import { AspenError, type Clock, type Timer } from '../base/index.ts';
import type { LeaderRequest, Leadership } from '../lease/index.ts';
import { parseWith } from '../lease/machine/index.ts';
import type { LiveIndex } from './live-index.ts';
import type { Fact } from './machine-port.ts';
import type { JobRecord, JobState } from './record.ts';

/** Longest a question is kept open; whoever watches on asks again. Unit: ms. */
export const WATCH_LIMIT_MS = 2_000;
/** Changes that are remembered for those who watch; who falls behind by more has missed some. */
export const CHANGES_LIMIT = 20_000;
/** Changes in one answer. */
const PAGE_LIMIT = 500;
/** Questions kept open at one time; a further one is answered at once with what there is. */
const OPEN_LIMIT = 10_000;
/** Changes are remembered for so long after the last question. Unit: ms. */
const IDLE_MS = 30_000;

const name = z.string().min(1).max(128).optional();

export const changeFilterSchema = z.strictObject({
  id: name,
  state: z.union([z.string().max(32), z.array(z.string().max(32)).min(1).max(16)]).optional(),
  type: name,
  queue: name,
  namespace: name,
  /** `key=value`, or `key` for any value. */
  label: z.string().max(512).optional(),
});

export type ChangeFilter = z.output<typeof changeFilterSchema>;

const parseWatch = parseWith(
  z.object({
    filter: changeFilterSchema,
    cursor: z.string().max(64).nullable(),
    waitMs: z.number().min(0).max(WATCH_LIMIT_MS),
  }),
);

/** One move of a job. */
export interface JobChange {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly namespace: string;
  readonly state: JobState;
  /** Null where it was submitted. */
  readonly before: JobState | null;
  readonly attempt: number;
  /** Where the latest attempt runs or ran. */
  readonly node: string | null;
  readonly errorCode: string | null;
}

export interface ChangesAnswer {
  readonly changes: readonly (JobChange & { readonly cursor: string })[];
  /** From where to ask on. */
  readonly cursor: string;
}

interface Remembered {
  readonly change: JobChange;
  readonly labels: Readonly<Record<string, string>>;
}

interface Watcher {
  readonly filter: ChangeFilter;
  /** The number of the first change it does not know. */
  readonly from: number;
  readonly resolve: (answer: ChangesAnswer) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
}

/** Answers `jobs/watch` as long as the leadership lasts. */
export function serveChanges(leadership: Leadership, clock: Clock): Disposable {
  const changes = new Changes(leadership, clock);
  const onEnd = () => changes[Symbol.dispose]();
  leadership.signal.addEventListener('abort', onEnd, { once: true });
  return changes;
}

/**
 * What changed of late, kept by the leader while somebody watches.
 *
 * - N1 Between two answers of one watcher no change is left out: where one may have been, the answer is an error that says so.
 * - N2 Memory is bounded by {@link CHANGES_LIMIT}, however slow a watcher is.
 */
class Changes implements Disposable {
  readonly #leadership: Leadership;
  readonly #clock: Clock;
  readonly #parts: readonly Disposable[];
  readonly #watchers = new Set<Watcher>();
  /** The last ones, in order; `#first` is the number of the first. */
  #remembered: Remembered[] = [];
  #first = 0;
  #isRemembering = false;
  /** Of the last change before the first that is remembered. */
  #startPosition = 0;
  /** Of the last change. */
  #position = 0;
  #idle: Timer | undefined;

  constructor(leadership: Leadership, clock: Clock) {
    this.#leadership = leadership;
    this.#clock = clock;
    this.#parts = [
      leadership.serve('jobs/watch', (request) => this.#watch(request)),
      leadership.onFacts((facts) => this.#onFacts(facts)),
    ];
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
    this.#idle?.cancel();
    for (const watcher of [...this.#watchers]) {
      this.#forget(watcher);
      watcher.reject(new AspenError('NOT_LEADER', 'the leadership is over', { details: { leader: null } }));
    }
  }

  async #watch({ body }: LeaderRequest): Promise<ChangesAnswer> {
    const { filter, cursor, waitMs } = parseWatch(body);
    await this.#leadership.confirm(); // nobody is told to go on from a state that a later leader may not know
    this.#remember();
    const from = cursor === null ? this.#end : this.#numberOf(cursor);
    const answer = this.#answerFrom(from, filter);
    const isOpen = cursor !== null && answer.changes.length === 0 && waitMs > 0;
    if (!isOpen || this.#watchers.size >= OPEN_LIMIT) return answer;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(waitMs, () => this.#answer(watcher));
      const watcher: Watcher = { filter, from: this.#end, resolve, reject, timer };
      this.#watchers.add(watcher);
    });
  }

  get #end(): number {
    return this.#first + this.#remembered.length;
  }

  #remember(): void {
    if (!this.#isRemembering) {
      this.#position = this.#leadership.read(({ module }) => {
        const jobs = module('jobs');
        return jobs.derived<LiveIndex>().changedAt ?? jobs.position;
      });
      this.#startPosition = this.#position;
      this.#isRemembering = true;
    }
    this.#idle?.cancel();
    this.#idle = this.#clock.setTimer(IDLE_MS, () => this.#stopRemembering());
  }

  #stopRemembering(): void {
    if (this.#watchers.size > 0) return;
    this.#first = this.#end + 1; // what comes meanwhile has no number of its own
    this.#remembered = [];
    this.#isRemembering = false;
  }

  #onFacts(facts: readonly Fact[]): void {
    if (!this.#isRemembering) return;
    const fresh: Remembered[] = [];
    for (const { module, type, record, before, position } of facts) {
      if (module !== 'jobs' || (type !== 'changed' && type !== 'final')) continue;
      fresh.push(remembered(record as JobRecord, before as JobState | null));
      this.#position = Math.max(this.#position, position as number);
    }
    for (const one of fresh) this.#remembered.push(one);
    if (this.#remembered.length > 2 * CHANGES_LIMIT) this.#forgetOldest();
    for (const watcher of [...this.#watchers])
      if (fresh.some((one) => fits(one, watcher.filter))) this.#answer(watcher);
  }

  /** N2 */
  #forgetOldest(): void {
    this.#first += this.#remembered.length - CHANGES_LIMIT;
    this.#remembered = this.#remembered.slice(-CHANGES_LIMIT);
    this.#startPosition = this.#position;
  }

  #answer(watcher: Watcher): void {
    this.#forget(watcher);
    try {
      watcher.resolve(this.#answerFrom(watcher.from, watcher.filter));
    } catch (error) {
      watcher.reject(error);
    }
  }

  /** N1. @throws AspenError RESOURCE_EXHAUSTED */
  #answerFrom(from: number, filter: ChangeFilter): ChangesAnswer {
    if (from < this.#first) throw missed();
    const changes: (JobChange & { readonly cursor: string })[] = [];
    for (let at = from - this.#first; at < this.#remembered.length; at += 1) {
      const one = this.#remembered[at] as Remembered;
      if (!fits(one, filter)) continue;
      const cursor = this.#cursor(this.#first + at + 1, -1);
      changes.push({ ...one.change, cursor });
      if (changes.length === PAGE_LIMIT) return { changes, cursor };
    }
    return { changes, cursor: this.#cursor(this.#end, this.#position) };
  }

  #forget(watcher: Watcher): void {
    watcher.timer.cancel();
    this.#watchers.delete(watcher);
  }

  /** @param position of the last change that the watcher knows, with all before it; -1 where only this leader can tell. */
  #cursor(number: number, position: number): string {
    return `${this.#leadership.term}-${number}-${position}`;
  }

  /** N1. Of an earlier leader's cursor nothing but the position means anything here. */
  #numberOf(cursor: string): number {
    const parts = /^(\d{1,16})-(\d{1,16})-(-1|\d{1,16})$/.exec(cursor);
    if (parts === null) {
      throw new AspenError('INVALID_PARAMS', 'cursor: not one that job.watch gave', {
        details: { issues: [{ path: 'cursor', message: 'not one that job.watch gave' }] },
      });
    }
    const [, term, number, position] = parts.map(Number) as [number, number, number, number];
    if (term === this.#leadership.term && number >= this.#first && number <= this.#end) return number;
    if (position < this.#startPosition) throw missed();
    return this.#first;
  }
}

function missed(): AspenError {
  const message = 'changes were missed; list the jobs, then watch again without a cursor';
  return new AspenError('RESOURCE_EXHAUSTED', message, {
    details: { limit: 'CHANGES_LIMIT', retryAfterMs: 0 },
  });
}

function remembered(record: JobRecord, before: JobState | null): Remembered {
  const { id, spec, state, attempt, running, history, error } = record;
  const change: JobChange = {
    id,
    type: spec.type,
    queue: spec.queue,
    namespace: spec.namespace,
    state,
    before,
    attempt,
    node: (running ?? history.at(-1))?.node ?? null,
    errorCode: error?.code ?? null,
  };
  return { change, labels: spec.labels };
}

function fits(
  { change, labels }: Remembered,
  { id, state, type, queue, namespace, label }: ChangeFilter,
): boolean {
  if (id !== undefined && change.id !== id) return false;
  if (type !== undefined && change.type !== type) return false;
  if (queue !== undefined && change.queue !== queue) return false;
  if (namespace !== undefined && change.namespace !== namespace) return false;
  if (state !== undefined && ![state].flat().includes(change.state)) return false;
  if (label === undefined) return true;
  const [key = '', ...value] = label.split('=');
  return value.length === 0 ? Object.hasOwn(labels, key) : labels[key] === value.join('=');
}
