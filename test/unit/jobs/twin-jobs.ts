import type { JobSpec } from '../../../src/jobs/index.ts';
import { MAX_LOSSES } from '../../../src/jobs/retry.ts';

export type Report = 'complete' | 'fail' | 'lose' | 'handOver' | 'giveBack' | 'cancelled';

interface Past {
  readonly attempt: number;
  readonly token: number;
  readonly outcome: string;
}

export interface Twin {
  readonly id: string;
  readonly spec: JobSpec;
  readonly bornAt: number;
  state: string;
  attempt: number;
  token: number | null;
  failures: number;
  losses: number;
  /** When its delay, or its wait in the queue, is over; null for never. */
  dueMs: number | null;
  readyMs: number | null;
  expiresMs: number;
  error: string | null;
  ending: string | null;
  /** Parents that have not ended as they should. */
  open: string[];
  past: Past[];
}

export const DAY_MS = 86_400_000;
const FINAL = ['succeeded', 'dead', 'cancelled', 'skipped'];

export function isFinal(state: string): boolean {
  return FINAL.includes(state);
}

/** The rules once more, slow and obvious: one flat list of jobs, no index. */
export class TwinJobs {
  jobs: Twin[] = [];
  nowMs = 0;
  readonly #wallAheadMs: number;
  #commands = 0;

  /** @param wallAheadMs what the wall clock shows when group time begins. */
  constructor(wallAheadMs: number) {
    this.#wallAheadMs = wallAheadMs;
  }

  find(name: string): Twin | undefined {
    return this.jobs.find((job) => job.id === name);
  }

  /** Each as soon as the parents it has in the same command have been taken up; what is never reached waits for itself. */
  submit(items: readonly { readonly id: string; readonly spec: JobSpec }[]): string[] {
    this.#commands += 1;
    const told: string[] = [];
    const known = new Set(items.filter(({ id }) => this.find(id) !== undefined).map(({ id }) => id));
    for (;;) {
      const next = items.findIndex(({ id, spec }, at) => {
        if (told[at] !== undefined) return false;
        if (known.has(id)) return true;
        return spec.dependsOn.every((parent) =>
          items.every((other, place) => other.id !== parent.id || told[place] !== undefined),
        );
      });
      const item = items[next];
      if (item === undefined) break;
      told[next] = this.#submitOne(item.id, item.spec, this.#commands * 100 + next);
    }
    return items.map((_, at) => told[at] ?? 'INVALID_PARAMS');
  }

  #submitOne(name: string, spec: JobSpec, bornAt: number): string {
    const holder = this.jobs.find(
      (job) => spec.idempotencyKey !== null && job.spec.idempotencyKey === spec.idempotencyKey,
    );
    if (holder !== undefined) return `duplicate of ${holder.id}`;
    const known = this.find(name);
    if (known !== undefined) return known.spec === spec ? `duplicate of ${name}` : 'CONFLICT';
    if (spec.deadlineAtMs !== null && spec.deadlineAtMs <= this.#wallMs) return 'INVALID_PARAMS';
    if (spec.dependsOn.some(({ id }) => this.find(id) === undefined)) return 'INVALID_PARAMS';
    const job: Twin = {
      ...{ id: name, spec, bornAt, state: 'blocked', attempt: 0, token: null, failures: 0, losses: 0 },
      ...{ dueMs: null, readyMs: null, expiresMs: 0, error: null, ending: null, past: [] },
      open: spec.dependsOn.map(({ id }) => id),
    };
    this.jobs.push(job);
    if (job.open.length === 0) this.#wait(job, spec.delayMs);
    for (const parent of [...job.open]) {
      const state = this.find(parent)?.state as string;
      if (isFinal(state)) this.#takeNote(job, parent, state);
    }
    return `new ${name}`;
  }

  assign(name: string, token: number): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.state !== 'queued') return 'CONFLICT';
    Object.assign(job, { state: 'running', attempt: job.attempt + 1, token, dueMs: null });
    return 'given';
  }

  /** @param retryAtMs when the record says that it runs again: jitter is tested apart. */
  report(kind: Report, name: string, said: { attempt: number; token: number }, isRetryable: boolean): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.token !== said.token || job.attempt !== said.attempt) {
      const past = job.past.find(({ token }) => token === said.token);
      return past === undefined || past.outcome === 'lost' ? 'FENCED' : `${past.outcome} ${job.state}`;
    }
    const isCancelling = job.state === 'cancelling';
    if (kind === 'cancelled' && !isCancelling) return 'CONFLICT';
    const stopped = job.ending === null ? 'cancelled' : 'failed';
    const outcome = {
      complete: 'succeeded',
      fail: isCancelling ? stopped : 'failed',
      lose: 'lost',
      handOver: 'lost',
      giveBack: 'lost',
      cancelled: stopped,
    }[kind];
    job.past.push({ attempt: said.attempt, token: said.token, outcome });
    job.token = null;
    if (kind === 'fail') job.failures += 1;
    const { maxLosses = MAX_LOSSES } = job.spec.retry;
    const isLoss = kind === 'lose' || (kind === 'handOver' && maxLosses === 0);
    if (isLoss) job.losses += 1;
    if (kind !== 'cancelled')
      job.error = { complete: null, fail: 'FAILED', lose: 'LOST', handOver: 'LOST', giveBack: 'LOST' }[kind];
    if (kind === 'complete') this.#end(job, 'succeeded', null);
    else if (isCancelling && job.ending !== null) this.#end(job, 'dead', job.ending);
    else if (isCancelling) this.#end(job, 'cancelled', job.error);
    else if (kind === 'fail' && (!isRetryable || job.failures >= job.spec.retry.maxAttempts))
      this.#end(job, 'dead', job.error);
    else if (isLoss && job.losses > maxLosses) this.#end(job, 'dead', job.error);
    else if (isLoss) this.#wait(job, [0, 0, 1_000, 2_000, 4_000, 8_000][job.losses] ?? 8_000);
    else if (kind !== 'fail' || job.spec.retry.backoff === 'none') this.#wait(job, 0);
    else this.#wait(job, job.spec.retry.backoff === 'fixed' ? job.spec.retry.delayMs : Number.NaN);
    return `${outcome} ${job.state}`;
  }

  cancel(name: string): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (['succeeded', 'dead', 'skipped'].includes(job.state)) return 'CONFLICT';
    if (job.state === 'running') job.state = 'cancelling';
    else if (job.state !== 'cancelling' && job.state !== 'cancelled') this.#end(job, 'cancelled', job.error);
    return job.state;
  }

  retry(name: string): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (!['dead', 'cancelled', 'skipped'].includes(job.state)) return 'CONFLICT';
    if (job.spec.deadlineAtMs !== null && job.spec.deadlineAtMs <= this.#wallMs) return 'CONFLICT';
    const states = job.open.map((parent) => [parent, this.find(parent)?.state] as const);
    const open: string[] = [];
    for (const [parent, state] of states) {
      if (state === undefined) return 'CONFLICT';
      const said = isFinal(state) ? this.#judge(job, parent, state) : 'wait';
      if (said === 'dead' || said === 'skipped') return 'CONFLICT';
      if (said === 'wait') open.push(parent);
    }
    const neverReady = job.readyMs === null && job.attempt === 0;
    const failures = job.spec.retry.maxAttempts - 1;
    Object.assign(job, {
      state: 'blocked',
      open,
      failures,
      losses: 0,
      error: null,
      readyMs: null,
      dueMs: null,
    });
    if (open.length === 0) this.#wait(job, neverReady ? job.spec.delayMs : 0);
    return job.state;
  }

  pause(name: string): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.state === 'paused') return 'paused';
    if (!['blocked', 'scheduled', 'queued'].includes(job.state)) return 'CONFLICT';
    if (job.state === 'queued') job.dueMs = null;
    job.state = 'paused';
    return 'paused';
  }

  resume(name: string): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.state !== 'paused') return 'CONFLICT';
    if (job.open.length > 0) job.state = 'blocked';
    else if (job.dueMs !== null) this.#wait(job, job.dueMs - this.nowMs);
    else this.#wait(job, job.readyMs === null ? job.spec.delayMs : 0);
    return job.state;
  }

  release(): void {
    const deadlineOf = ({ spec, state }: Twin) => (state === 'cancelling' ? null : spec.deadlineAtMs);
    for (const job of this.#inOrder(deadlineOf, this.#wallMs)) {
      if (isFinal(job.state)) continue;
      if (job.token === null) this.#end(job, 'dead', 'DEADLINE');
      else Object.assign(job, { state: 'cancelling', ending: 'DEADLINE' });
    }
    const dueOf = ({ state, dueMs }: Twin) => (state === 'scheduled' || state === 'queued' ? dueMs : null);
    for (const job of this.#inOrder(dueOf, this.nowMs)) {
      if (isFinal(job.state)) continue;
      if (job.state === 'queued') this.#end(job, 'dead', 'QUEUE_TIMEOUT');
      else this.#wait(job, 0);
    }
  }

  purge(): void {
    const isWaitedFor = ({ id }: Twin) =>
      this.jobs.some((job) => !isFinal(job.state) && job.open.includes(id));
    for (const job of this.jobs)
      if (isFinal(job.state) && job.expiresMs <= this.nowMs && isWaitedFor(job))
        job.expiresMs = this.nowMs + Math.max(60_000, job.spec.retentionMs);
    this.jobs = this.jobs.filter((job) => !isFinal(job.state) || job.expiresMs > this.nowMs);
  }

  /** Ids in the order in which they are given out. */
  waiting(): string[] {
    const standingMs = ({ readyMs, spec }: Twin) => (readyMs ?? 0) + (10 - spec.priority) * 5 * 60_000;
    return this.jobs
      .filter(({ state }) => state === 'queued')
      .toSorted((left, right) => standingMs(left) - standingMs(right) || left.bornAt - right.bornAt)
      .map(({ id }) => id);
  }

  get #wallMs(): number {
    return this.nowMs + this.#wallAheadMs;
  }

  #inOrder(timeOf: (job: Twin) => number | null, untilMs: number): Twin[] {
    return this.jobs
      .filter((job) => (timeOf(job) ?? Number.POSITIVE_INFINITY) <= untilMs)
      .toSorted(
        (left, right) => Number(timeOf(left)) - Number(timeOf(right)) || (left.id < right.id ? -1 : 1),
      );
  }

  #wait(job: Twin, delayMs: number): void {
    if (delayMs > 0 || Number.isNaN(delayMs)) {
      Object.assign(job, { state: 'scheduled', dueMs: this.nowMs + delayMs });
      return;
    }
    const { queueTimeoutMs } = job.spec;
    const dueMs = queueTimeoutMs === null ? null : this.nowMs + queueTimeoutMs;
    Object.assign(job, { state: 'queued', readyMs: job.readyMs ?? this.nowMs, dueMs });
  }

  #end(job: Twin, state: string, error: string | null): void {
    const kept = job.spec.idempotencyKey === null ? 0 : DAY_MS;
    const expiresMs = this.nowMs + Math.max(kept, job.spec.retentionMs);
    Object.assign(job, { state, token: null, expiresMs, error, ending: null, dueMs: null });
    const dependents = this.jobs.filter((other) => !isFinal(other.state) && other.open.includes(job.id));
    for (const other of dependents.toSorted((left, right) => (left.id < right.id ? -1 : 1)))
      if (!isFinal(other.state) && other.open.includes(job.id)) this.#takeNote(other, job.id, state);
  }

  #takeNote(job: Twin, parent: string, state: string): void {
    if (isFinal(job.state)) return;
    const said = this.#judge(job, parent, state);
    if (said === 'wait') return;
    if (said === 'met') {
      job.open = job.open.filter((id) => id !== parent);
      if (job.open.length === 0 && job.state === 'blocked') this.#wait(job, job.spec.delayMs);
    } else this.#end(job, said, 'DEPENDENCY_FAILED');
  }

  #judge({ spec }: Twin, parent: string, state: string): 'met' | 'wait' | 'dead' | 'skipped' {
    const on = spec.dependsOn.find(({ id }) => id === parent)?.on;
    const hasFailed = state === 'dead' || state === 'cancelled';
    if (on === 'any' || (on === 'success' && state === 'succeeded') || (on === 'failure' && hasFailed))
      return 'met';
    if (spec.onDependencyFailure === 'continue') return 'met';
    if (on === 'failure' || spec.onDependencyFailure === 'skip') return 'skipped';
    return spec.onDependencyFailure === 'block' ? 'wait' : 'dead';
  }
}
