import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type JobSpec, submitBody } from '../../../src/jobs/index.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { codeOf } from '../lease/machine/support.ts';
import { JobsBench, SOME_ERROR, specOf } from './jobs-bench.ts';
import { DAY_MS, isFinal, type Report, TwinJobs } from './twin-jobs.ts';

/** What the wall clock of a bench shows at first. */
const WALL_MS = 1_000_000;

const SPECS = [
  specOf({ retry: { maxAttempts: 2, backoff: 'none', jitter: 'none' }, retentionMs: 50 }),
  specOf({ priority: 9, retry: { maxAttempts: 3, backoff: 'fixed', delayMs: 20, jitter: 'none' } }),
  specOf({ delayMs: 30, idempotencyKey: 'x', retentionMs: 10 }),
  specOf({ idempotencyKey: 'y', priority: 'low', retentionMs: 0 }),
  specOf({ dependsOn: ['job_a'], retentionMs: 20 }),
  specOf({ dependsOn: [{ id: 'job_a', on: 'failure' }, 'job_b'], onDependencyFailure: 'block', delayMs: 10 }),
  specOf({ dependsOn: ['job_b', 'job_c'], onDependencyFailure: 'skip', queueTimeoutMs: 40, retentionMs: 20 }),
  specOf({ dependsOn: [{ id: 'job_d', on: 'any' }], onDependencyFailure: 'continue', retentionMs: 0 }),
  specOf({ dependsOn: ['job_c'], onDependencyFailure: 'continue', deadlineAt: WALL_MS + 400 }),
  specOf({ deadlineAt: WALL_MS + 200, queueTimeoutMs: 60, retry: { maxAttempts: 1 } }),
  specOf({ retry: { maxAttempts: 2, maxLosses: 0, backoff: 'none' } }),
  specOf({ retry: { maxLosses: 2, backoff: 'none' } }),
];
const IDS = ['job_a', 'job_b', 'job_c', 'job_d', 'job_e'];
const PEERS = ['ann', 'bob'];

interface ReportStep {
  readonly do: Report;
  readonly id: string;
  /** 0 for the latest attempt. */
  readonly age: number;
  readonly isRetryable: boolean;
}

const MOVES = ['cancel', 'retry', 'pause', 'resume'] as const;
type Move = (typeof MOVES)[number];

type Step =
  | { readonly do: 'submit'; readonly jobs: readonly { readonly id: string; readonly spec: number }[] }
  | {
      readonly do: 'assign';
      readonly ids: readonly string[];
      readonly peer: number;
      readonly isStale: boolean;
    }
  | ReportStep
  | { readonly do: Move; readonly id: string }
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
      jobs: fc.oneof(
        fc.array(fc.record({ id, spec: fc.nat({ max: 3 }) }), { maxLength: 3 }),
        fc.uniqueArray(fc.record({ id, spec: fc.nat({ max: SPECS.length - 1 }) }), {
          maxLength: 5,
          selector: (job) => job.id,
        }),
      ),
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
      do: fc.constantFrom<Report>(
        'complete',
        'fail',
        'lose',
        'handOver',
        'giveBack',
        'cancelled',
        'fail',
        'lose',
      ),
      id,
      age: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat({ max: 3 })),
      isRetryable: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom<Move>(...MOVES), id }) },
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

/** One machine, its twin, and what must hold of both after each step. */
class Run {
  readonly bench = new JobsBench();
  readonly twin = new TwinJobs(WALL_MS);
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
    this.#checkTimers();
    this.#do(step);
    this.bench.checkIndexes(); // J1
    this.#compare();
    this.#checkFinals(step);
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
    else if (isMove(step)) {
      const outcome = bench.do(
        step.do,
        step.do === 'cancel' ? { id: step.id, reason: null } : { id: step.id },
      );
      const expected = twin[step.do](step.id);
      assert.equal(outcome.ok ? (outcome.result as { state: string }).state : codeOf(outcome), expected);
    } else if (step.do === 'release') {
      twin.release();
      bench.do('release');
    } else if (step.do === 'purge') {
      bench.do('purge');
      twin.purge();
    } else this.#report(step);
  }

  /** Where the twin leaves the pause to chance, the record tells it. */
  #checkTimers(): void {
    for (const job of this.twin.jobs) {
      if (job.state !== 'scheduled' && job.state !== 'queued') continue;
      const dueMs = this.bench.record(job.id)?.dueGroupMs ?? null;
      if (Number.isNaN(job.dueMs)) job.dueMs = dueMs;
      assert.equal(dueMs, job.dueMs, job.id);
    }
  }

  #submit(jobs: readonly { readonly id: string; readonly spec: number }[]): void {
    const body = submitBody(jobs.map(({ id: name, spec }) => ({ id: name, spec: SPECS[spec] as JobSpec })));
    const outcome = this.bench.do('submit', body);
    assert.ok(outcome.ok);
    const told = (outcome.result as { id: string; duplicate: boolean; error?: { code: string } }[]).map(
      (item) =>
        item.error === undefined ? `${item.duplicate ? 'duplicate of' : 'new'} ${item.id}` : item.error.code,
    );
    const expected = this.twin.submit(
      jobs.map(({ id: name, spec }) => ({ id: name, spec: SPECS[spec] as JobSpec })),
    );
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
    const kind = step.do === 'handOver' || step.do === 'giveBack' ? 'lose' : step.do;
    const error = { ...SOME_ERROR, retryable: step.isRetryable };
    const body = {
      complete: { result: 1 },
      fail: { error, result: null },
      lose: { reason: 'gone' },
      handOver: { reason: 'gone', isHandedOver: true },
      giveBack: { reason: 'gone', isHandedOver: true, isUnbegun: true },
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
      .map(({ id: name, state, attempt, running, failureCount, lossCount, history, ...more }) => ({
        id: name,
        state,
        attempt,
        token: running?.fencingToken ?? null,
        failures: failureCount,
        losses: lossCount,
        error: more.error?.code ?? null,
        open: more.unmet.map((at) => more.spec.dependsOn[at]?.id),
        past: history.map(({ attempt: number, fencingToken, outcome }) => ({
          attempt: number,
          token: fencingToken,
          outcome,
        })),
      }));
    const expected = this.twin.jobs.map(({ id: name, state, attempt, token, failures, losses, ...more }) => ({
      id: name,
      state,
      attempt,
      token,
      failures,
      losses,
      error: more.error,
      open: more.open,
      past: more.past,
    }));
    assert.deepEqual(
      told,
      expected.toSorted((left, right) => (left.id < right.id ? -1 : 1)),
    );
    assert.deepEqual(this.bench.waiting(), this.twin.waiting()); // J7
    const newestFirst = this.twin.jobs.toSorted((left, right) => right.bornAt - left.bornAt);
    assert.deepEqual(
      this.bench.list().jobs.map(({ id: name }) => name),
      newestFirst.map(({ id: name }) => name),
    );
  }

  /** J3: what was final is as it was, or gone, or was asked to run again; only how long it is kept may change (D3). */
  #checkFinals(step: Step): void {
    const told = (record: JobRecord) => JSON.stringify({ ...record, expiresGroupMs: 0 });
    const now = this.bench.records();
    for (const [name, was] of this.#finals) {
      const is = now.find((record) => `${record.id} ${record.position}` === name);
      if (is === undefined || (step.do === 'retry' && step.id === is.id)) continue;
      assert.equal(told(is), was);
    }
    const finals = now.filter(({ state }) => isFinal(state));
    this.#finals = new Map(finals.map((record) => [`${record.id} ${record.position}`, told(record)]));
  }
}

function isMove(step: Step): step is { readonly do: Move; readonly id: string } {
  return (MOVES as readonly string[]).includes(step.do);
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
