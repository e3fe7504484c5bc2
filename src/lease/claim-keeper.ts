import { z } from 'zod';
import { AspenError, type Clock, every, type Logger, type Timer } from '../base/index.ts';
import type { LeaderRequest, Leadership } from './group.ts';
import {
  CLAIM_KINDS,
  type Claim,
  type ClaimView,
  DROP_LIMIT,
  type Fact,
  leaseIdSchema,
  parseWith,
  type ResourceView,
  type ServiceView,
  viewClaim,
  viewResource,
  viewService,
} from './machine/index.ts';

/** Longest a question is kept open, within what a question to the leader may take; whoever waits longer asks again. Unit: ms. */
export const ASK_LIMIT_MS = 2_000;
/** A claim that waits and was not asked about for this long leaves the queue: its node is gone. Unit: ms. */
export const SILENT_CLAIM_MS = 10_000;
/** Questions kept open at one time; a further one is answered at once. */
const OPEN_LIMIT = 100_000;
const SWEEP_MS = 500;

const waitSchema = z.number().min(0).max(ASK_LIMIT_MS);
const parseAwait = parseWith(z.object({ leaseId: leaseIdSchema, waitMs: waitSchema }));
const parseObserve = parseWith(
  z.object({
    kind: z.enum([...CLAIM_KINDS, 'service']),
    name: z.string().min(1).max(1_024),
    since: z.number().nullable(),
    waitMs: waitSchema,
  }),
);

type Observed = ResourceView | ServiceView | null;

interface Question {
  readonly topic: string;
  readonly answer: () => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
}

/**
 * Tells those who wait, on the leader: questions are held open and answered by the facts of `apply`.
 *
 * - W1 An answer is read from applied state after a quorum has confirmed this leader, or after a fact of a committed command.
 * - W2 A waiting claim that nobody asks about for `SILENT_CLAIM_MS` is taken out of the queue. A new leader counts from its
 *   beginning, so an election costs nobody its place.
 * - W3 When the leadership ends, everybody who waits is sent to the next leader.
 */
export class ClaimKeeper implements Disposable {
  readonly #leadership: Leadership;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #open = new Map<string, Set<Question>>();
  /** Waiting claims and when they were last asked about, by this leader's monotonic clock. */
  readonly #heardMs = new Map<string, number>();
  readonly #parts: readonly Disposable[];
  #openCount = 0;
  #isDropping = false;

  constructor(leadership: Leadership, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#leadership = leadership;
    this.#clock = clock;
    this.#log = log;
    this.#meetWaiting();
    this.#parts = [
      leadership.serve('leases/await', (request) => this.#await(request)),
      leadership.serve('leases/observe', (request) => this.#observe(request)),
      leadership.onFacts((facts) => this.#onFacts(facts)),
      every(clock, SWEEP_MS, () => this.#sweep()),
    ];
  }

  /** W3 */
  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
    const questions = [...this.#open.values()].flatMap((asked) => [...asked]);
    for (const question of questions) {
      this.#close(question);
      question.reject(new AspenError('NOT_LEADER', 'the leadership is over', { details: { leader: null } }));
    }
  }

  /** The claim as soon as it no longer waits, or as it is when the time is over; null when it has ended. */
  async #await({ body }: LeaderRequest): Promise<ClaimView | null> {
    const { leaseId, waitMs } = parseAwait(body);
    this.#hear(leaseId);
    await this.#leadership.confirm(); // W1
    const read = () => this.#leadership.read(({ module }) => viewClaim(module('leases'), leaseId));
    const isSettled = (view: ClaimView | null) => view === null || view.fencingToken !== null;
    const view = await this.#whenTold(`claim/${leaseId}`, { waitMs, read, isSettled });
    this.#hear(leaseId);
    return view;
  }

  /** Holders, or endpoints of a service, as soon as they are no longer those of revision `since` (null: nobody), or as they are when the time is over. */
  async #observe({ body }: LeaderRequest): Promise<Observed> {
    const { kind, name, since, waitMs } = parseObserve(body);
    await this.#leadership.confirm(); // W1
    const read = (): Observed =>
      this.#leadership.read(({ module }) =>
        kind === 'service' ? viewService(module('leases'), name) : viewResource(module('leases'), kind, name),
      );
    const isSettled = (view: Observed) => (view?.revision ?? null) !== since;
    return this.#whenTold(topicOf(kind, name), { waitMs, read, isSettled });
  }

  #whenTold<T>(
    topic: string,
    {
      waitMs,
      read,
      isSettled,
    }: { readonly waitMs: number; readonly read: () => T; readonly isSettled: (now: T) => boolean },
  ): Promise<T> | T {
    const now = read();
    if (isSettled(now) || waitMs === 0 || this.#openCount >= OPEN_LIMIT) return now;
    return new Promise((resolve, reject) => {
      const answer = () => {
        this.#close(question);
        resolve(read());
      };
      const question: Question = { topic, answer, reject, timer: this.#clock.setTimer(waitMs, answer) };
      this.#openCount += 1;
      this.#open.set(topic, (this.#open.get(topic) ?? new Set<Question>()).add(question));
    });
  }

  #close(question: Question): void {
    question.timer.cancel();
    const asked = this.#open.get(question.topic);
    if (asked?.delete(question)) this.#openCount -= 1;
    if (asked?.size === 0) this.#open.delete(question.topic);
  }

  #onFacts(facts: readonly Fact[]): void {
    for (const { module, type, leaseId, kind, name } of facts) {
      if (module !== 'leases') continue;
      if (type === 'queued') this.#heardMs.set(leaseId as string, this.#clock.monotonicMs());
      else if (type === 'admitted' || type === 'claimEnded') {
        this.#heardMs.delete(leaseId as string);
        this.#tell(`claim/${leaseId}`);
      } else if (type === 'changed') this.#tell(topicOf(kind as string, name as string));
    }
  }

  #tell(topic: string): void {
    for (const question of [...(this.#open.get(topic) ?? [])]) question.answer();
  }

  #hear(leaseId: string): void {
    if (this.#heardMs.has(leaseId)) this.#heardMs.set(leaseId, this.#clock.monotonicMs());
  }

  /** W2 */
  #meetWaiting(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#leadership.read(({ module }) => {
      for (const [leaseId, { fencingToken }] of module('leases').table<Claim>('claims').range({})) {
        if (fencingToken === null) this.#heardMs.set(leaseId, nowMs);
      }
    });
  }

  /** W2 */
  #sweep(): void {
    if (this.#isDropping || this.#heardMs.size === 0) return;
    const silentSinceMs = this.#clock.monotonicMs() - SILENT_CLAIM_MS;
    const silent = [...this.#heardMs].filter(([, heardMs]) => heardMs <= silentSinceMs);
    if (silent.length === 0) return;
    this.#isDropping = true;
    const leaseIds = silent.slice(0, DROP_LIMIT).map(([leaseId]) => leaseId);
    this.#leadership
      .propose({ module: 'leases', kind: 'drop', body: { leaseIds } })
      .catch((err: unknown) => this.#log.debug({ err }, 'silent claims not dropped, will try again'))
      .finally(() => {
        this.#isDropping = false;
      });
  }
}

function topicOf(kind: string, name: string): string {
  return `${kind}/${name}`;
}
