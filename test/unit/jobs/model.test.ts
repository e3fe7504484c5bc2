import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type JobSpec, submitBody } from '../../../src/jobs/index.ts';
import { LOSSES_LIMIT } from '../../../src/jobs/retry.ts';
import { codeOf } from '../lease/machine/support.ts';
import { JobsBench, SOME_ERROR, specOf } from './jobs-bench.ts';

const SPECS = [
  specOf({ retry: { maxAttempts: 2, backoff: 'none', jitter: 'none' }, retentionMs: 50 }),
  specOf({ priority: 9, retry: { maxAttempts: 3, backoff: 'fixed', delayMs: 20, jitter: 'none' } }),
  specOf({ delayMs: 30, idempotencyKey: 'x', retentionMs: 10 }),
  specOf({ idempotencyKey: 'y', priority: 'low', retentionMs: 0 }),
];
const IDS = ['job_a', 'job_b', 'job_c', 'job_d'];
const DAY_MS = 86_400_000;
const PEERS = ['ann', 'bob'];

type Report = 'complete' | 'fail' | 'lose' | 'handOver' | 'cancelled';

interface ReportStep {
  readonly do: Report;
  readonly id: string;
  /** 0 for the latest attempt. */
  readonly age: number;
  readonly isRetryable: boolean;
}

type Step =
  | { readonly do: 'submit'; readonly jobs: readonly { readonly id: string; readonly spec: number }[] }
  | {
      readonly do: 'assign';
      readonly ids: readonly string[];
      readonly peer: number;
      readonly isStale: boolean;
    }
  | ReportStep
  | { readonly do: 'cancel'; readonly id: string }
  | { readonly do: 'release' }
  | { readonly do: 'purge' }
  | { readonly do: 'session'; readonly peer: number }
  | { readonly do: 'wait'; readonly ms: number };

const id = fc.constantFrom(...IDS);
const peer = fc.nat({ max: PEERS.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      jobs: fc.array(fc.record({ id, spec: fc.nat({ max: SPECS.length - 1 }) }), { maxLength: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('assign' as const),
      ids: fc.array(id, { maxLength: 3 }),
      peer,
      isStale: fc.nat({ max: 9 }).map((one) => one === 0),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom<Report>('complete', 'fail', 'lose', 'handOver', 'cancelled', 'fail', 'lose'),
      id,
      age: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat({ max: 3 })),
      isRetryable: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), id }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>({ do: 'release' }, { do: 'purge' }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('session' as const), peer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 60 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(4 * 60_000, 30 * 60_000, DAY_MS),
    }),
  },
);

interface Past {
  readonly attempt: number;
  readonly token: number;
  readonly outcome: string;
}

interface Twin {
  readonly id: string;
  readonly spec: (typeof SPECS)[number];
  readonly bornAt: number;
  state: string;
  attempt: number;
  token: number | null;
  failures: number;
  losses: number;
  dueMs: number;
  readyMs: number;
  expiresMs: number;
  past: Past[];
}

/** The rules once more, slow and obvious: one flat list of jobs, no index. */
class TwinJobs {
  jobs: Twin[] = [];
  nowMs = 0;
  #born = 0;

  find(name: string): Twin | undefined {
    return this.jobs.find((job) => job.id === name);
  }

  submit(name: string, spec: Twin['spec']): string {
    const holder = this.jobs.find(
      (job) => spec.idempotencyKey !== null && job.spec.idempotencyKey === spec.idempotencyKey,
    );
    if (holder !== undefined) return `duplicate of ${holder.id}`;
    const known = this.find(name);
    if (known !== undefined) return known.spec === spec ? `duplicate of ${name}` : 'CONFLICT';
    this.#born += 1;
    const waits = { state: spec.delayMs > 0 ? 'scheduled' : 'queued', dueMs: this.nowMs + spec.delayMs };
    const fresh = { attempt: 0, token: null, failures: 0, losses: 0, expiresMs: 0, past: [] };
    this.jobs.push({ id: name, spec, bornAt: this.#born, readyMs: this.nowMs, ...waits, ...fresh });
    return `new ${name}`;
  }

  assign(name: string, token: number): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.state !== 'queued') return 'CONFLICT';
    Object.assign(job, { state: 'running', attempt: job.attempt + 1, token });
    return 'given';
  }

  report(kind: Report, name: string, said: { attempt: number; token: number }, isRetryable: boolean): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (job.token !== said.token || job.attempt !== said.attempt) {
      const past = job.past.find(({ token }) => token === said.token);
      return past === undefined || past.outcome === 'lost' ? 'FENCED' : `${past.outcome} ${job.state}`;
    }
    const isCancelling = job.state === 'cancelling';
    if (kind === 'cancelled' && !isCancelling) return 'CONFLICT';
    const outcome = {
      complete: 'succeeded',
      fail: isCancelling ? 'cancelled' : 'failed',
      lose: 'lost',
      handOver: 'lost',
      cancelled: 'cancelled',
    }[kind];
    job.past.push({ attempt: said.attempt, token: said.token, outcome });
    job.token = null;
    if (kind === 'fail') job.failures += 1;
    if (kind === 'lose') job.losses += 1;
    if (kind === 'complete') this.#end(job, 'succeeded');
    else if (isCancelling) this.#end(job, 'cancelled');
    else if (kind === 'fail' && (!isRetryable || job.failures >= job.spec.retry.maxAttempts))
      this.#end(job, 'dead');
    else if (kind === 'lose' && job.losses > LOSSES_LIMIT) this.#end(job, 'dead');
    else if (kind === 'fail' && job.spec.retry.backoff === 'fixed') {
      Object.assign(job, { state: 'scheduled', dueMs: this.nowMs + job.spec.retry.delayMs });
    } else if (kind === 'fail' && job.spec.retry.backoff === 'exponential') {
      job.state = 'scheduled';
      job.dueMs = Number.NaN; // jittered: tested apart
    } else job.state = 'queued';
    return `${outcome} ${job.state}`;
  }

  cancel(name: string): string {
    const job = this.find(name);
    if (job === undefined) return 'NOT_FOUND';
    if (['succeeded', 'dead'].includes(job.state)) return 'CONFLICT';
    if (job.state === 'running') job.state = 'cancelling';
    else if (job.state === 'queued' || job.state === 'scheduled') this.#end(job, 'cancelled');
    return job.state;
  }

  release(isDue: (job: Twin) => boolean): void {
    for (const job of this.jobs) {
      if (job.state !== 'scheduled' || !isDue(job)) continue;
      job.state = 'queued';
      if (job.attempt === 0) job.readyMs = this.nowMs;
    }
  }

  purge(): void {
    const isKept = (job: Twin) => !isFinal(job.state) || job.expiresMs > this.nowMs;
    this.jobs = this.jobs.filter(isKept);
  }

  #end(job: Twin, state: string): void {
    Object.assign(job, { state, token: null, expiresMs: this.nowMs + keptMs(job) });
  }
}

function keptMs({ spec }: Twin): number {
  return spec.idempotencyKey === null ? spec.retentionMs : Math.max(DAY_MS, spec.retentionMs);
}

/** When a job of priority 10 would have had to be ready to stand where this one does. */
function standingMs({ readyMs, spec }: Twin): number {
  return readyMs + (10 - spec.priority) * 5 * 60_000;
}

function isFinal(state: string): boolean {
  return ['succeeded', 'dead', 'cancelled'].includes(state);
}

/** One machine, its twin, and what must hold of both after each step. */
class Run {
  readonly bench = new JobsBench();
  readonly twin = new TwinJobs();
  /** By job id, also of a job that was purged and submitted again: every token and attempt ever given. */
  readonly given = new Map<string, { attempt: number; token: number }[]>();
  readonly sessions = PEERS.map((name) => `ses_${name}_0`);
  #finals = new Map<string, string>();

  constructor() {
    PEERS.forEach((name, at) => {
      this.bench.openSession(name, this.sessions[at] as string);
    });
  }

  take(step: Step): void {
    this.#do(step);
    this.bench.checkIndexes(); // J1
    this.#compare();
    this.#checkFinals();
  }

  #do(step: Step): void {
    const { bench, twin } = this;
    if (step.do === 'wait') {
      bench.groupMs += step.ms;
      bench.wallMs += step.ms;
      twin.nowMs += step.ms;
    } else if (step.do === 'session') {
      this.sessions[step.peer] = `${this.sessions[step.peer]}+`;
      bench.openSession(PEERS[step.peer] as string, this.sessions[step.peer] as string);
    } else if (step.do === 'submit') this.#submit(step.jobs);
    else if (step.do === 'assign') this.#assign(step);
    else if (step.do === 'cancel') {
      const outcome = bench.do('cancel', { id: step.id, reason: null });
      const expected = twin.cancel(step.id);
      assert.equal(outcome.ok ? (outcome.result as { state: string }).state : codeOf(outcome), expected);
    } else if (step.do === 'release') {
      const isDue = ({ id: name }: Twin) =>
        (bench.record(name)?.dueGroupMs ?? Number.POSITIVE_INFINITY) <= bench.groupMs;
      for (const job of twin.jobs)
        if (job.state === 'scheduled' && !Number.isNaN(job.dueMs))
          assert.equal(bench.record(job.id)?.dueGroupMs, job.dueMs);
      twin.release(isDue);
      bench.do('release');
    } else if (step.do === 'purge') {
      bench.do('purge');
      twin.purge();
    } else this.#report(step);
  }

  #submit(jobs: readonly { readonly id: string; readonly spec: number }[]): void {
    const body = submitBody(jobs.map(({ id: name, spec }) => ({ id: name, spec: SPECS[spec] as JobSpec })));
    const outcome = this.bench.do('submit', body);
    assert.ok(outcome.ok);
    const told = (outcome.result as { id: string; duplicate: boolean; error?: { code: string } }[]).map(
      (item) =>
        item.error === undefined ? `${item.duplicate ? 'duplicate of' : 'new'} ${item.id}` : item.error.code,
    );
    const expected = jobs.map(({ id: name, spec }) => this.twin.submit(name, SPECS[spec] as Twin['spec']));
    assert.deepEqual(told, expected); // J4
  }

  #assign({ ids, peer: at, isStale }: Extract<Step, { do: 'assign' }>): void {
    const sessionId = isStale ? 'ses_of_before' : (this.sessions[at] as string);
    const assignments = ids.map((jobId) => ({ jobId, peerId: PEERS[at], sessionId }));
    const outcome = this.bench.do('assign', { assignments });
    assert.ok(outcome.ok);
    const results = outcome.result as {
      error?: { code: string };
      running?: { attempt: number; fencingToken: number };
    }[];
    for (const [place, name] of ids.entries()) {
      const { running, error } = results[place] as (typeof results)[number];
      const expected = isStale ? 'CONFLICT' : this.twin.assign(name, running?.fencingToken ?? -1);
      assert.equal(error?.code ?? 'given', expected);
      if (running === undefined) continue;
      const earlier = this.given.get(name) ?? [];
      assert.ok(
        earlier.every(({ token }) => token < running.fencingToken),
        'tokens of a job grow',
      ); // J5
      this.given.set(name, [...earlier, { attempt: running.attempt, token: running.fencingToken }]);
    }
  }

  #report(step: ReportStep): void {
    const said = this.given.get(step.id)?.at(-1 - step.age) ?? { attempt: 1, token: 7 };
    const kind = step.do === 'handOver' ? 'lose' : step.do;
    const error = { ...SOME_ERROR, retryable: step.isRetryable };
    const body = {
      complete: { result: 1 },
      fail: { error, result: null },
      lose: { reason: 'gone' },
      handOver: { reason: 'gone', isHandedOver: true },
      cancelled: { result: null },
    }[step.do];
    const outcome = this.bench.do(kind, {
      jobId: step.id,
      attempt: said.attempt,
      fencingToken: said.token,
      ...body,
    });
    const expected = this.twin.report(step.do, step.id, said, step.isRetryable);
    const told = outcome.ok ? (outcome.result as { outcome: string; state: string }) : undefined;
    assert.equal(told === undefined ? codeOf(outcome) : `${told.outcome} ${told.state}`, expected); // J2
  }

  #compare(): void {
    const told = this.bench
      .records()
      .map(({ id: name, state, attempt, running, failureCount, lossCount, history }) => ({
        id: name,
        state,
        attempt,
        token: running?.fencingToken ?? null,
        failures: failureCount,
        losses: lossCount,
        past: history.map(({ attempt: number, fencingToken, outcome }) => ({
          attempt: number,
          token: fencingToken,
          outcome,
        })),
      }));
    const expected = this.twin.jobs.map(({ id: name, state, attempt, token, failures, losses, past }) => ({
      id: name,
      state,
      attempt,
      token,
      failures,
      losses,
      past,
    }));
    assert.deepEqual(
      told,
      expected.toSorted((left, right) => (left.id < right.id ? -1 : 1)),
    );
    const waiting = this.twin.jobs.filter(({ state }) => state === 'queued');
    const inOrder = waiting.toSorted(
      (left, right) => standingMs(left) - standingMs(right) || left.bornAt - right.bornAt,
    );
    assert.deepEqual(
      this.bench.waiting(),
      inOrder.map(({ id: name }) => name),
    );
    const newestFirst = this.twin.jobs.toSorted((left, right) => right.bornAt - left.bornAt);
    assert.deepEqual(
      this.bench.list().jobs.map(({ id: name }) => name),
      newestFirst.map(({ id: name }) => name),
    );
  }

  /** J3: what was final is as it was, or gone. */
  #checkFinals(): void {
    const now = new Map(
      this.bench
        .records()
        .filter(({ state }) => isFinal(state))
        .map((record) => [`${record.id} ${record.position}`, JSON.stringify(record)]),
    );
    for (const [name, was] of this.#finals) {
      const stays = this.bench.records().some((record) => `${record.id} ${record.position}` === name);
      if (stays) assert.equal(now.get(name), was);
    }
    this.#finals = now;
  }
}

describe('the jobs module', () => {
  it('does what a flat list of jobs does, whatever it is told (J1 - J5)', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), (steps) => {
        const run = new Run();
        for (const one of steps) run.take(one);
      }),
      { numRuns: 250 },
    );
  });

  it('leads two replicas through the same commands to the same hash, one of them restarted midway', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.nat({ max: 60 }),
        async (steps, restartAt) => {
          const left = new Run();
          const right = new Run();
          for (const [at, one] of steps.entries()) {
            if (at === restartAt) await right.bench.restart();
            left.take(one);
            right.take(one);
          }
          assert.equal(left.bench.machine.hash, right.bench.machine.hash);
        },
      ),
      { numRuns: 40 },
    );
  });
});
