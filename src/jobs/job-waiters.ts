import { z } from 'zod';
import { AspenError, type Clock, SlotMap, type Timer } from '../base/index.ts';
import type { LeaderRequest, Leadership } from '../lease/index.ts';
import { parseWith } from '../lease/machine/index.ts';
import { type JobView, jobView } from './job-view.ts';
import type { Fact } from './machine-port.ts';
import { resolveRecord } from './queries.ts';
import { isFinal } from './record.ts';
import { findRecord } from './record-store.ts';

/** Longest a question is kept open, within what a question to the leader may take; whoever waits longer asks again. Unit: ms. */
export const WAIT_LIMIT_MS = 2_000;
/** Questions kept open at one time; a further one is answered at once with the job as it is. */
const OPEN_LIMIT = 100_000;

const parseWait = parseWith(
  z.object({ id: z.string().min(1).max(128), waitMs: z.number().min(0).max(WAIT_LIMIT_MS) }),
);

interface Waiter {
  readonly jobId: string;
  readonly resolve: (view: JobView) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
}

/**
 * Answers `jobs/wait` on the leader: the job as soon as it is final, or as it is when the time is over. When the leadership ends, who
 * still waits is sent to the next leader.
 */
export function serveWaiters(leadership: Leadership, clock: Clock): Disposable {
  const waiters = new Waiters(leadership, clock);
  const onEnd = () => waiters[Symbol.dispose]();
  leadership.signal.addEventListener('abort', onEnd, { once: true });
  return waiters;
}

class Waiters implements Disposable {
  readonly #leadership: Leadership;
  readonly #clock: Clock;
  readonly #byJob = new SlotMap<string, Set<Waiter>>();
  readonly #parts: readonly Disposable[];
  #count = 0;

  constructor(leadership: Leadership, clock: Clock) {
    this.#leadership = leadership;
    this.#clock = clock;
    this.#parts = [
      leadership.serve('jobs/wait', (request) => this.#wait(request)),
      leadership.onFacts((facts) => this.#onFacts(facts)),
    ];
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
    for (const waiter of this.#all()) {
      this.#forget(waiter);
      waiter.reject(new AspenError('NOT_LEADER', 'the leadership is over', { details: { leader: null } }));
    }
  }

  async #wait({ body }: LeaderRequest): Promise<JobView> {
    const { id: name, waitMs } = parseWait(body);
    await this.#leadership.confirm(); // nobody is told of a state that a later leader may not know
    const view = this.#leadership.read(({ module }) => jobView(resolveRecord(module('jobs'), name)));
    if (isFinal(view.state) || waitMs === 0 || this.#count >= OPEN_LIMIT) return view;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(waitMs, () => this.#answer(waiter));
      const waiter: Waiter = { jobId: view.id, resolve, reject, timer };
      this.#count += 1;
      this.#byJob.set(view.id, (this.#byJob.get(view.id) ?? new Set<Waiter>()).add(waiter));
    });
  }

  #onFacts(facts: readonly Fact[]): void {
    for (const { module, type, id } of facts) {
      if (module !== 'jobs' || type !== 'final') continue;
      for (const waiter of [...(this.#byJob.get(id as string) ?? [])]) this.#answer(waiter);
    }
  }

  #answer(waiter: Waiter): void {
    this.#forget(waiter);
    const record = this.#leadership.read(({ module }) => findRecord(module('jobs'), waiter.jobId));
    if (record !== undefined) waiter.resolve(jobView(record));
    else waiter.reject(new AspenError('NOT_FOUND', `${waiter.jobId} was removed`));
  }

  #forget(waiter: Waiter): void {
    waiter.timer.cancel();
    const others = this.#byJob.get(waiter.jobId);
    if (others?.delete(waiter)) this.#count -= 1;
    if (others?.size === 0) this.#byJob.delete(waiter.jobId);
  }

  #all(): readonly Waiter[] {
    return this.#byJob.values().flatMap((waiting) => [...waiting]);
  }
}
