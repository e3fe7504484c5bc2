import { z } from 'zod';
import { AspenError, type Clock, type Timer } from '../base/index.ts';
import {
  type Fact,
  type HistoryAnswer,
  type HistoryQuestion,
  isWatched,
  type KeyFilter,
  type KvChange,
  parseWith,
  type QueryContext,
  readHistory,
} from './machine/index.ts';
import { RecentChanges } from './recent-changes.ts';

/** Longest a question is kept open; whoever watches asks again. Unit: ms. */
export const CHANGES_WAIT_LIMIT_MS = 2_000;
/** Changes of one answer. */
const EVENTS_LIMIT = 500;
/** An answer ends when it is so long; with one more change it still fits a frame. Unit: characters. */
const ANSWER_LIMIT = 256 * 2 ** 10;
/** Questions kept open at one time; a further one is refused. */
const WATCHERS_LIMIT = 20_000;
/** Recent changes are held in memory for so long after somebody asked. Unit: ms. */
const HELD_MS = 10_000;

/** A replica, as far as it shows what was applied. */
export interface FeedSource {
  read(module: string): QueryContext;
  onFacts(callback: (facts: readonly Fact[]) => void): Disposable;
}

export interface ChangesQuestion extends Pick<HistoryQuestion, 'filter' | 'fromRevision' | 'sequence'> {
  /** How long to wait for a change when there is none. At most {@link CHANGES_WAIT_LIMIT_MS}. */
  readonly waitMs: number;
}

interface Waiting {
  readonly filter: KeyFilter;
  /** Everything before this change was looked at and does not concern the watcher. */
  sequence: number | null;
  readonly answer: () => void;
  readonly timer: Timer;
}

interface Told {
  readonly sequence: number;
  readonly change: KvChange;
}

/**
 * Tells what changed in kv, from the applied state of one replica. Whoever watches asks again and again from where the last answer ended,
 * so nothing is kept here for a slow one.
 *
 * - U1 An answer holds every change of its keys from the place asked for to the place it names, in order, and none twice.
 * - U2 A question that nothing answers yet is answered when something does, or empty when its time is over.
 */
export class KvFeed implements Disposable {
  readonly #source: FeedSource;
  readonly #clock: Clock;
  readonly #recent = new RecentChanges();
  readonly #waiting = new Set<Waiting>();
  readonly #facts: Disposable;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(source: FeedSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#facts = source.onFacts((facts) => this.#onFacts(facts));
  }

  /** @throws AspenError COMPACTED, RESOURCE_EXHAUSTED. */
  changes(question: ChangesQuestion, signal?: AbortSignal): Promise<HistoryAnswer> | HistoryAnswer {
    this.#askedAtMs = this.#clock.monotonicMs();
    const now = this.#read(question);
    if (now.events.length > 0 || !now.isAtEnd || question.waitMs === 0 || signal?.aborted === true)
      return now;
    if (this.#waiting.size >= WATCHERS_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${this.#waiting.size} watchers ask this replica already`, {
        details: { limit: 'WATCHERS_LIMIT', retryAfterMs: 1_000 },
      });
    }
    return this.#whenChanged({ ...question, sequence: now.sequence }, signal);
  }

  /** Answers whoever waits with what there is. */
  [Symbol.dispose](): void {
    this.#facts[Symbol.dispose]();
    for (const waiting of [...this.#waiting]) waiting.answer();
  }

  #whenChanged(question: ChangesQuestion, signal: AbortSignal | undefined): Promise<HistoryAnswer> {
    return new Promise((resolve, reject) => {
      const answer = () => {
        waiting.timer.cancel();
        signal?.removeEventListener('abort', answer);
        this.#waiting.delete(waiting);
        try {
          resolve(this.#read({ ...question, sequence: waiting.sequence }));
        } catch (error) {
          reject(error);
        }
      };
      const { filter, sequence, waitMs } = question;
      const waiting: Waiting = { filter, sequence, answer, timer: this.#clock.setTimer(waitMs, answer) };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', answer, { once: true });
    });
  }

  #read({ filter, fromRevision, sequence }: ChangesQuestion): HistoryAnswer {
    const context = this.#source.read('kv');
    const question = { filter, fromRevision, sequence, eventsLimit: EVENTS_LIMIT, textLimit: ANSWER_LIMIT };
    return readHistory(context, question, (at) => this.#recent.at(at, context.position));
  }

  #onFacts(facts: readonly Fact[]): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#waiting.size === 0 && nowMs - this.#askedAtMs > HELD_MS) {
      this.#recent.clear();
      return;
    }
    const changes = facts.filter(({ module, type }) => module === 'kv' && type === 'changed');
    if (changes.length > 0) this.#tell(changes as unknown as readonly Told[]);
  }

  /** U2 */
  #tell(changes: readonly Told[]): void {
    for (const { sequence, change } of changes) this.#recent.add(sequence, change);
    const [first, last] = [changes[0] as Told, changes.at(-1) as Told];
    for (const waiting of [...this.#waiting]) {
      if (changes.some(({ change }) => isWatched(waiting.filter, change[1]))) waiting.answer();
      else if (waiting.sequence === first.sequence) waiting.sequence = last.sequence + 1;
    }
  }
}

const filterSchema = z.union([
  z.strictObject({ key: z.string().min(1).max(1_024) }),
  z.strictObject({ prefix: z.string().max(1_024) }),
]);
const positionSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** What another node asks. @throws AspenError INVALID_PARAMS. */
export const parseChangesQuestion: (body: unknown) => ChangesQuestion = parseWith(
  z.object({
    filter: filterSchema,
    fromRevision: positionSchema,
    sequence: positionSchema.nullable(),
    waitMs: z.number().min(0).max(CHANGES_WAIT_LIMIT_MS),
  }),
);

const eventSchema = z.object({
  type: z.enum(['put', 'delete']),
  key: z.string(),
  value: z.string().nullable(),
  revision: positionSchema,
  version: positionSchema,
  previous: z
    .object({ value: z.string(), revision: positionSchema, version: positionSchema })
    .exactOptional(),
});

/** What another node answers. @throws AspenError INVALID_PARAMS. */
export const parseChangesAnswer: (body: unknown) => HistoryAnswer = parseWith(
  z.object({
    events: z.array(eventSchema),
    sequence: positionSchema,
    revision: positionSchema,
    isAtEnd: z.boolean(),
  }),
);
