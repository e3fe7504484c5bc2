import assert from 'node:assert/strict';
import type { JobSpecInput } from '../../../src/jobs/index.ts';
import { PRIORITY_STEP_MS } from '../../../src/jobs/job-places.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

const ID = 'job_1';
const FAILURE = { error: SOME_ERROR, result: null };

function withJob(spec: Partial<JobSpecInput> = {}): JobsBench {
  const bench = new JobsBench();
  bench.submit({ id: ID, ...spec });
  return bench;
}

function pass(bench: JobsBench, ms: number): void {
  bench.groupMs += ms;
  bench.wallMs += ms;
  bench.do('release');
}

describe('the order in which jobs are given out', () => {
  it('is that of their priorities, then that of their submission', () => {
    const bench = new JobsBench();
    const jobs = (['low', 'normal', 'high', 'critical'] as const).flatMap((priority) => [
      { id: `job_${priority}_1`, priority },
      { id: `job_${priority}_2`, priority },
    ]);
    for (const job of jobs) {
      bench.submit(job);
      pass(bench, 1_000);
    }
    assert.deepEqual(bench.waiting(), [
      ...['job_critical_1', 'job_critical_2', 'job_high_1', 'job_high_2'],
      ...['job_normal_1', 'job_normal_2', 'job_low_1', 'job_low_2'],
    ]);
  });

  it('lets a job pass those of the next priority that became ready a step later (J7)', () => {
    const bench = withJob({ priority: 4 });
    pass(bench, PRIORITY_STEP_MS - 1);
    bench.submit({ id: 'job_2', priority: 5 });
    pass(bench, 2);
    bench.submit({ id: 'job_3', priority: 5 });
    assert.deepEqual(bench.waiting(), ['job_2', ID, 'job_3']);
  });

  it('lets the lowest run however many of the highest keep coming', () => {
    const bench = withJob({ priority: 1 });
    for (let minute = 0; minute < 46; minute += 1) {
      bench.submit({ id: `job_urgent_${minute}`, priority: 10 });
      const [next] = bench.waiting() as [string];
      if (next === ID) return;
      bench.do('complete', { ...bench.assign(next), result: 1 });
      pass(bench, 60_000);
    }
    assert.equal(bench.waiting()[0], ID);
  });

  it('counts the wait from when a job became ready, not from its submission', () => {
    const bench = withJob({ priority: 4, delayMs: 10 * PRIORITY_STEP_MS });
    pass(bench, 10 * PRIORITY_STEP_MS);
    bench.submit({ id: 'job_2', priority: 5 });
    assert.deepEqual(bench.waiting(), ['job_2', ID]);
  });

  it('gives a job that was lost its place again', () => {
    const bench = withJob();
    const lost = bench.assign(ID);
    pass(bench, 1_000);
    bench.submit({ id: 'job_2' });
    bench.do('lose', { ...lost, reason: 'gone' });
    assert.deepEqual(bench.waiting(), [ID, 'job_2']);
  });
});

describe('a job that always fails', () => {
  it('with three attempts, a second doubling and no jitter starts at 0, 1 and 3 s, then is dead with the last error', () => {
    const bench = withJob({
      retry: { maxAttempts: 3, delayMs: 1_000, backoff: 'exponential', jitter: 'none' },
    });
    const startedMs = bench.groupMs;
    const starts: number[] = [];
    while (bench.get(ID).state !== 'dead') {
      if (bench.get(ID).state === 'queued') {
        starts.push(bench.groupMs - startedMs);
        const error = { ...SOME_ERROR, message: `failure ${starts.length}` };
        bench.do('fail', { ...bench.assign(ID), error, result: null });
      } else pass(bench, 100);
    }
    assert.deepEqual(starts, [0, 1_000, 3_000]);
    assert.equal(bench.get(ID).error?.message, 'failure 3');
    assert.deepEqual(
      bench.get(ID).history.map(({ attempt, outcome }) => [attempt, outcome]),
      [1, 2, 3].map((attempt) => [attempt, 'failed']),
    );
  });
});

describe('a limit of the wait in the queue', () => {
  it('ends a job that no node took in time', () => {
    const bench = withJob({ queueTimeoutMs: 500 });
    pass(bench, 499);
    assert.equal(bench.get(ID).state, 'queued');
    pass(bench, 1);
    assert.equal(bench.get(ID).state, 'dead');
    assert.equal(bench.get(ID).error?.code, 'QUEUE_TIMEOUT');
    bench.checkIndexes();
  });

  it('does not count delays, nor the time of an attempt, and begins again after it', () => {
    const bench = withJob({ queueTimeoutMs: 500, delayMs: 5_000 });
    pass(bench, 5_000);
    pass(bench, 400);
    const lost = bench.assign(ID);
    pass(bench, 5_000);
    bench.do('lose', { ...lost, reason: 'gone' });
    pass(bench, 499);
    assert.equal(bench.get(ID).state, 'queued');
    pass(bench, 1);
    assert.equal(bench.get(ID).state, 'dead');
  });
});

/** What the history says of the latest attempt. */
function lastOf(bench: JobsBench): readonly unknown[] {
  const past = bench.get(ID).history.at(-1);
  return [past?.outcome, past?.error?.code];
}

describe('a deadline', () => {
  const before: Record<string, (bench: JobsBench, spec: object) => void> = {
    queued: (bench, spec) => bench.submit({ id: ID, ...spec }),
    scheduled: (bench, spec) => bench.submit({ id: ID, delayMs: 60_000, ...spec }),
    blocked: (bench, spec) => bench.submit({ id: 'job_a' }, { id: ID, dependsOn: ['job_a'], ...spec }),
    paused: (bench, spec) => {
      bench.submit({ id: ID, ...spec });
      bench.do('pause', { id: ID });
    },
  };
  for (const [state, prepare] of Object.entries(before)) {
    it(`ends a job that is ${state}`, () => {
      const bench = new JobsBench();
      prepare(bench, { deadlineAt: bench.wallMs + 1_000 });
      pass(bench, 999);
      assert.equal(bench.get(ID).state, state);
      pass(bench, 1);
      assert.equal(bench.get(ID).state, 'dead');
      assert.equal(bench.get(ID).error?.code, 'DEADLINE');
      bench.checkIndexes();
    });
  }

  it('stops a running attempt first, then the job is dead of it, and not tried again', () => {
    const bench = new JobsBench();
    bench.submit({ id: ID, deadlineAt: bench.wallMs + 1_000 }, { id: 'job_2', dependsOn: [ID] });
    const ref = bench.assign(ID);
    pass(bench, 1_000);
    assert.equal(bench.get(ID).state, 'cancelling');
    bench.checkIndexes();
    bench.do('cancelled', { ...ref, result: 'so far' });
    assert.equal(bench.get(ID).state, 'dead');
    assert.equal(bench.get(ID).error?.code, 'DEADLINE');
    assert.equal(bench.get(ID).result, 'so far');
    assert.deepEqual(lastOf(bench), ['failed', 'DEADLINE']);
    assert.equal(bench.get('job_2').state, 'dead');
    bench.checkIndexes();
  });

  for (const kind of ['fail', 'lose'] as const) {
    it(`is what the job dies of when the attempt answers with "${kind}"`, () => {
      const bench = new JobsBench();
      bench.submit({ id: ID, deadlineAt: bench.wallMs + 1_000 });
      const ref = bench.assign(ID);
      pass(bench, 1_000);
      bench.do(kind, { ...ref, ...FAILURE, reason: 'gone' });
      assert.equal(bench.get(ID).state, 'dead');
      assert.equal(bench.get(ID).error?.code, 'DEADLINE');
      assert.deepEqual(lastOf(bench), kind === 'lose' ? ['lost', 'LOST'] : ['failed', 'DEADLINE']);
    });
  }

  it('is not told of an attempt in a log from before, and not of one that somebody cancelled (lease A5)', () => {
    const bench = withJob({ deadlineAt: 1_001_000 });
    bench.version = 1;
    const ref = bench.assign(ID);
    pass(bench, 1_000);
    bench.do('cancelled', { ...ref, result: null });
    assert.deepEqual(lastOf(bench), ['cancelled', undefined]);
    const other = withJob();
    const held = other.assign(ID);
    other.do('cancel', { id: ID, reason: null });
    other.do('cancelled', { ...held, result: null });
    assert.deepEqual(lastOf(other), ['cancelled', undefined]);
  });

  it('does not undo work that was done before the attempt could be stopped', () => {
    const bench = new JobsBench();
    bench.submit({ id: ID, deadlineAt: bench.wallMs + 1_000 });
    const ref = bench.assign(ID);
    pass(bench, 1_000);
    bench.do('complete', { ...ref, result: 1 });
    assert.equal(bench.get(ID).state, 'succeeded');
    assert.equal(bench.get(ID).error, null);
  });

  it('that is over already is refused', () => {
    const bench = new JobsBench();
    const [refused] = bench.submit({ id: ID, deadlineAt: bench.wallMs });
    assert.equal(refused?.error?.code, 'INVALID_PARAMS');
    assert.deepEqual(bench.records(), []);
  });

  it('is no hindrance to a duplicate that comes after it', () => {
    const bench = new JobsBench();
    const job = { id: ID, deadlineAt: bench.wallMs + 10 };
    bench.submit(job);
    pass(bench, 20);
    assert.deepEqual(bench.submit(job), [{ id: ID, duplicate: true }]);
  });
});

describe('a job that is retried', () => {
  it('runs once more, at once, with its history', () => {
    const bench = withJob({ retry: { maxAttempts: 2, backoff: 'none' } });
    for (let run = 0; run < 2; run += 1) bench.do('fail', { ...bench.assign(ID), ...FAILURE, result: 'old' });
    assert.equal(bench.get(ID).state, 'dead');
    bench.do('retry', { id: ID });
    assert.deepEqual([bench.get(ID).state, bench.get(ID).result], ['queued', null]);
    assert.equal(bench.get(ID).finishedAt, null);
    bench.checkIndexes();
    bench.do('fail', { ...bench.assign(ID), ...FAILURE });
    assert.equal(bench.get(ID).state, 'dead', 'once, and no more');
    assert.deepEqual(
      bench.get(ID).history.map(({ attempt }) => attempt),
      [1, 2, 3],
    );
    bench.checkIndexes();
  });

  it('is not removed at the end that it had before', () => {
    const bench = withJob({ retentionMs: 100, retry: { maxAttempts: 1 } });
    bench.do('fail', { ...bench.assign(ID), ...FAILURE });
    bench.do('retry', { id: ID });
    bench.groupMs += 1_000;
    bench.do('purge');
    assert.equal(bench.get(ID).state, 'queued');
  });

  for (const state of ['queued', 'running', 'succeeded'] as const) {
    it(`is none that is ${state}`, () => {
      const bench = withJob();
      if (state !== 'queued') {
        const ref = bench.assign(ID);
        if (state === 'succeeded') bench.do('complete', { ...ref, result: 1 });
      }
      assert.equal(bench.code('retry', { id: ID }), 'CONFLICT');
      assert.equal(bench.get(ID).state, state);
    });
  }

  it('after its dependency failed waits for that again once it runs, and is refused before', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', retry: { maxAttempts: 1 } }, { id: 'job_b', dependsOn: ['job_a'] });
    bench.do('fail', { ...bench.assign('job_a'), ...FAILURE });
    assert.equal(bench.code('retry', { id: 'job_b' }), 'CONFLICT');
    bench.do('retry', { id: 'job_a' });
    bench.do('retry', { id: 'job_b' });
    assert.equal(bench.get('job_b').state, 'blocked');
    bench.checkIndexes();
    bench.do('complete', { ...bench.assign('job_a'), result: 1 });
    assert.equal(bench.get('job_b').state, 'queued');
    bench.checkIndexes();
  });

  it('is refused beyond its deadline, which would end it at once', () => {
    const bench = new JobsBench();
    bench.submit({ id: ID, deadlineAt: bench.wallMs + 10 });
    pass(bench, 10);
    assert.equal(bench.code('retry', { id: ID }), 'CONFLICT');
  });
});

describe('a job that is paused', () => {
  it('is given to nobody until it is resumed, and then keeps its place', () => {
    const bench = withJob();
    pass(bench, 10);
    bench.submit({ id: 'job_2' });
    bench.do('pause', { id: ID });
    assert.equal(bench.code('pause', { id: ID }), 'ok', 'twice is once');
    assert.deepEqual(bench.waiting(), ['job_2']);
    bench.checkIndexes();
    bench.do('resume', { id: ID });
    assert.deepEqual(bench.waiting(), [ID, 'job_2']);
    bench.checkIndexes();
  });

  it('still waits for what is left of its delay', () => {
    const bench = withJob({ delayMs: 100 });
    pass(bench, 60);
    bench.do('pause', { id: ID });
    pass(bench, 10);
    bench.do('resume', { id: ID });
    assert.equal(bench.get(ID).state, 'scheduled');
    pass(bench, 30);
    assert.equal(bench.get(ID).state, 'queued');
  });

  it('still waits for its instant', () => {
    const bench = new JobsBench();
    bench.submit({ id: ID, runAt: bench.wallMs + 100 });
    bench.do('pause', { id: ID });
    pass(bench, 50);
    bench.do('resume', { id: ID });
    assert.equal(bench.get(ID).state, 'scheduled');
    pass(bench, 50);
    assert.equal(bench.get(ID).state, 'queued');
  });

  it('takes note of its parents', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' }, { id: 'job_c' }, { id: ID, dependsOn: ['job_a', 'job_c'] });
    bench.do('pause', { id: ID });
    bench.do('complete', { ...bench.assign('job_a'), result: 1 });
    assert.equal(bench.get(ID).state, 'paused');
    bench.do('resume', { id: ID });
    assert.equal(bench.get(ID).state, 'blocked');
    bench.do('pause', { id: ID });
    bench.do('complete', { ...bench.assign('job_c'), result: 1 });
    assert.equal(bench.get(ID).state, 'paused');
    bench.do('resume', { id: ID });
    assert.equal(bench.get(ID).state, 'queued');
    bench.checkIndexes();
  });

  it('can be cancelled', () => {
    const bench = withJob();
    bench.do('pause', { id: ID });
    bench.do('cancel', { id: ID, reason: null });
    assert.equal(bench.get(ID).state, 'cancelled');
    bench.checkIndexes();
  });

  it('is none that runs or has ended, and none is resumed that was not paused', () => {
    const bench = withJob();
    assert.equal(bench.code('resume', { id: ID }), 'CONFLICT');
    const ref = bench.assign(ID);
    assert.equal(bench.code('pause', { id: ID }), 'CONFLICT');
    bench.do('complete', { ...ref, result: 1 });
    assert.equal(bench.code('pause', { id: ID }), 'CONFLICT');
  });
});
