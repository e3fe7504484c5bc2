import assert from 'node:assert/strict';
import { encode } from '../../../src/base/index.ts';
import { type JobSpecInput, submitBody } from '../../../src/jobs/index.ts';
import { HISTORY_LIMIT } from '../../../src/jobs/record.ts';
import { MAX_LOSSES, retryDelayMs } from '../../../src/jobs/retry.ts';
import { JobsBench, SOME_ERROR, specOf } from './jobs-bench.ts';

const ID = 'job_1';

function withJob(spec: Partial<JobSpecInput> = {}): JobsBench {
  const bench = new JobsBench();
  bench.submit({ id: ID, ...spec });
  return bench;
}

describe('the pause before a job runs again', () => {
  const rows: [why: string, retry: JobSpecInput['retry'], failures: number, pauseMs: number][] = [
    ['none is none', { backoff: 'none', delayMs: 500, jitter: 'none' }, 3, 0],
    ['fixed stays', { backoff: 'fixed', delayMs: 500, jitter: 'none' }, 7, 500],
    ['exponential begins with the delay', { backoff: 'exponential', delayMs: 500, jitter: 'none' }, 1, 500],
    ['exponential doubles', { backoff: 'exponential', delayMs: 500, jitter: 'none' }, 4, 4_000],
    [
      'nothing exceeds the longest',
      { backoff: 'exponential', delayMs: 500, maxDelayMs: 900, jitter: 'none' },
      9,
      900,
    ],
    [
      'a huge count does not overflow',
      { backoff: 'exponential', delayMs: 500, jitter: 'none' },
      900,
      300_000,
    ],
    ['a list is followed', { backoff: [10, 20, 30] }, 2, 20],
    ['the last of a list repeats', { backoff: [10, 20, 30] }, 8, 30],
    ['a list is bounded too', { backoff: [10, 20], maxDelayMs: 15 }, 2, 15],
  ];
  for (const [why, retry, failures, pauseMs] of rows) {
    it(`${why}: ${pauseMs} ms after failure ${failures}`, () => {
      assert.equal(retryDelayMs(specOf({ retry }).retry, failures, ID), pauseMs);
    });
  }

  it('is jittered between half and all of it, by job and failure and nothing else', () => {
    const { retry } = specOf({ retry: { backoff: 'fixed', delayMs: 1_000 } });
    const pauses = Array.from({ length: 200 }, (_, at) => retryDelayMs(retry, 1, `job_${at}`));
    assert.ok(pauses.every((pauseMs) => pauseMs >= 500 && pauseMs <= 1_000));
    assert.ok(new Set(pauses).size > 100);
    assert.equal(retryDelayMs(retry, 1, 'job_7'), pauses[7]);
    assert.notEqual(retryDelayMs(retry, 2, 'job_7'), pauses[7]);
  });

  it('is waited for in group time, then the job is queued and runs again', () => {
    const bench = withJob({ retry: { backoff: 'fixed', delayMs: 100, jitter: 'none' } });
    bench.do('fail', { ...bench.assign(ID), error: SOME_ERROR, result: 'said' });
    assert.equal(bench.get(ID).state, 'scheduled');
    assert.equal(bench.get(ID).result, 'said');
    bench.groupMs += 99;
    bench.do('release');
    assert.equal(bench.get(ID).state, 'scheduled');
    bench.groupMs += 1;
    bench.do('release');
    assert.equal(bench.get(ID).state, 'queued');
    const second = bench.assign(ID);
    assert.equal(second.attempt, 2);
    assert.equal(bench.code('complete', { ...second, result: 1 }), 'ok');
    assert.equal(bench.get(ID).error, null);
  });

  it('is at least what the failure asks for, as far as its own policy does not say longer', () => {
    for (const [retryAfterMs, waitedMs] of [
      [5_000, 5_000],
      [50, 100],
    ] as const) {
      const bench = withJob({ retry: { backoff: 'fixed', delayMs: 100, jitter: 'none' } });
      bench.do('fail', { ...bench.assign(ID), error: { ...SOME_ERROR, retryAfterMs }, result: null });
      assert.equal(bench.record(ID)?.dueGroupMs, bench.groupMs + waitedMs);
    }
  });
});

describe('a failure', () => {
  const retry = {
    backoff: 'none',
    maxAttempts: 3,
    nonRetryableExitCodes: [2, 64],
  } satisfies JobSpecInput['retry'];
  const rows: [why: string, error: object, state: string][] = [
    ['that may be tried again is', {}, 'queued'],
    ['that says it is for good is', { retryable: false }, 'dead'],
    ['with an exit code that is not to be tried again is for good', { exitCode: 64 }, 'dead'],
    ['with another exit code is tried again', { exitCode: 1 }, 'queued'],
  ];
  for (const [why, error, state] of rows) {
    it(why, () => {
      const bench = withJob({ retry });
      bench.do('fail', { ...bench.assign(ID), error: { ...SOME_ERROR, ...error }, result: null });
      assert.equal(bench.get(ID).state, state);
    });
  }

  it('beyond the last attempt is for good, however often the job was lost in between', () => {
    const bench = withJob({ retry: { maxAttempts: 2, backoff: 'none' } });
    for (const kind of ['lose', 'fail', 'lose', 'fail'] as const) {
      bench.groupMs += 10_000;
      bench.do('release');
      bench.do(kind, { ...bench.assign(ID), reason: 'gone', error: SOME_ERROR, result: null });
    }
    assert.equal(bench.get(ID).state, 'dead');
    assert.deepEqual(
      bench.get(ID).history.map(({ outcome }) => outcome),
      ['lost', 'failed', 'lost', 'failed'],
    );
  });
});

/** As time goes by, to the end of whatever pause there is. */
function lose(bench: JobsBench, report: object = {}): number {
  const fromMs = bench.groupMs;
  while (bench.get(ID).state === 'scheduled') {
    bench.groupMs += 500;
    bench.do('release');
  }
  const pausedMs = bench.groupMs - fromMs;
  bench.do('lose', { ...bench.assign(ID), reason: 'its node was silent', ...report });
  return pausedMs;
}

describe('a loss', () => {
  it(`is forgiven ${MAX_LOSSES} times, after pauses that grow: who takes its node down each time is given up`, () => {
    const bench = withJob({ retry: { maxAttempts: 1 } });
    const pausesMs = Array.from({ length: MAX_LOSSES + 1 }, () => lose(bench));
    assert.deepEqual(pausesMs, [0, 0, 1_000, 2_000, 4_000, 8_000]);
    const { state, error } = bench.get(ID);
    assert.deepEqual([state, error?.code], ['dead', 'LOST']);
    assert.equal(
      error?.message,
      'lost 6 times, more than are forgiven (retry.maxLosses is 5); the last: its node was silent',
    );
    assert.equal(bench.get(ID).history.at(-1)?.error?.message, 'its node was silent');
  });

  it('is forgiven as often as the job says, after 8 s at most', () => {
    const bench = withJob({ retry: { maxLosses: 40 } });
    const pausesMs = Array.from({ length: 41 }, () => lose(bench));
    assert.equal(bench.get(ID).state, 'dead');
    assert.equal(Math.max(...pausesMs), 8_000);
  });

  it('ends a job that may be lost no time at once', () => {
    const bench = withJob({ retry: { maxAttempts: 3, maxLosses: 0 } });
    lose(bench);
    const { state, error } = bench.get(ID);
    assert.equal(state, 'dead');
    assert.equal(
      error?.message,
      'not begun again after it was lost (retry.maxLosses is 0): its node was silent',
    );
  });

  it('is what a job that may be begun once comes to when its node gives it back, unless it never began there', () => {
    const bench = withJob({ retry: { maxLosses: 0 } });
    lose(bench, { reason: 'its node is stopping', isHandedOver: true, isUnbegun: true });
    assert.equal(bench.get(ID).state, 'queued');
    lose(bench, { reason: 'its node is stopping', isHandedOver: true });
    assert.equal(bench.get(ID).state, 'dead');
  });

  it('is begun to be counted anew when somebody asks for one more run', () => {
    const bench = withJob({ retry: { maxAttempts: 1, maxLosses: 0 } });
    lose(bench);
    bench.do('retry', { id: ID });
    assert.equal(bench.get(ID).state, 'queued');
    lose(bench);
    assert.equal(bench.get(ID).state, 'dead');
  });

  it('in a log from before is applied as it was then: without a pause, and with its reason alone (lease A5)', () => {
    const bench = withJob();
    bench.version = 1;
    for (let loss = 0; loss <= MAX_LOSSES; loss += 1) assert.equal(lose(bench), 0);
    assert.equal(bench.get(ID).state, 'dead');
    assert.equal(bench.get(ID).error?.message, 'its node was silent');
  });

  it('of a limit of its own is asked for only where all understand it', () => {
    const bench = new JobsBench();
    const admit = (retry: JobSpecInput['retry']) => {
      const body = encode(submitBody([{ id: ID, spec: specOf({ retry }) }]));
      return () => bench.machine.admit({ module: 'jobs', kind: 'submit', body, request: null });
    };
    admit({ maxAttempts: 2 })();
    assert.throws(admit({ maxLosses: 0 }), { code: 'CONFLICT' });
    bench.apply({ module: 'machine', kind: 'raise', body: { version: 2 } });
    admit({ maxLosses: 0 })();
  });

  it('that was a hand-over in order is not counted, and the history stays bounded', () => {
    const bench = withJob();
    for (let times = 0; times < HISTORY_LIMIT + 5; times += 1) {
      bench.do('lose', { ...bench.assign(ID), reason: 'stopping', isHandedOver: true });
    }
    assert.equal(bench.get(ID).state, 'queued');
    assert.equal(bench.get(ID).history.length, HISTORY_LIMIT);
    assert.equal(bench.get(ID).history.at(-1)?.attempt, HISTORY_LIMIT + 5);
  });
});

describe('a report', () => {
  it('that comes twice is answered with what was recorded, and changes nothing (J2)', () => {
    const bench = withJob();
    const ref = bench.assign(ID);
    const first = bench.do('complete', { ...ref, result: 1 });
    const before = bench.record(ID);
    assert.deepEqual(bench.do('complete', { ...ref, result: 2 }), first);
    assert.deepEqual(bench.do('fail', { ...ref, error: SOME_ERROR, result: null }), first);
    assert.deepEqual(bench.record(ID), before);
  });

  it('of a lost attempt is refused, also after the next one succeeded', () => {
    const bench = withJob();
    const lost = bench.assign(ID);
    bench.do('lose', { ...lost, reason: 'silent' });
    assert.equal(bench.code('complete', { ...lost, result: 'late' }), 'FENCED');
    const second = bench.assign(ID, 'bob');
    assert.equal(bench.code('complete', { ...lost, result: 'late' }), 'FENCED');
    assert.equal(bench.code('complete', { ...second, result: 'right' }), 'ok');
    assert.equal(bench.code('complete', { ...lost, result: 'late' }), 'FENCED');
    assert.equal(bench.get(ID).result, 'right');
  });

  it('with the right number and the token of another attempt is refused', () => {
    const bench = withJob();
    const ref = bench.assign(ID);
    assert.equal(bench.code('complete', { ...ref, fencingToken: ref.fencingToken + 1, result: 1 }), 'FENCED');
    assert.equal(bench.get(ID).state, 'running');
  });

  it('about a job that is gone is refused', () => {
    const bench = withJob({ retentionMs: 10 });
    const ref = bench.assign(ID);
    bench.do('complete', { ...ref, result: 1 });
    bench.groupMs += 10;
    bench.do('purge');
    assert.equal(bench.code('complete', { ...ref, result: 1 }), 'NOT_FOUND');
    assert.deepEqual(bench.records(), []);
  });
});

describe('cancelling', () => {
  const toState: Record<string, (bench: JobsBench) => void> = {
    scheduled: (bench) => bench.submit({ id: ID, delayMs: 10 }),
    queued: (bench) => bench.submit({ id: ID }),
    running: (bench) => {
      bench.submit({ id: ID });
      bench.assign(ID);
    },
    cancelling: (bench) => {
      toState['running']?.(bench);
      bench.do('cancel', { id: ID, reason: 'first' });
    },
    succeeded: (bench) => {
      bench.submit({ id: ID });
      bench.do('complete', { ...bench.assign(ID), result: 1 });
    },
    dead: (bench) => {
      bench.submit({ id: ID, retry: { maxAttempts: 1 } });
      bench.do('fail', { ...bench.assign(ID), error: SOME_ERROR, result: null });
    },
    cancelled: (bench) => {
      bench.submit({ id: ID });
      bench.do('cancel', { id: ID, reason: 'first' });
    },
  };
  const rows: [before: string, after: string][] = [
    ['scheduled', 'cancelled'],
    ['queued', 'cancelled'],
    ['running', 'cancelling'],
    ['cancelling', 'cancelling'],
    ['cancelled', 'cancelled'],
    ['succeeded', 'CONFLICT'],
    ['dead', 'CONFLICT'],
  ];
  for (const [before, after] of rows) {
    it(`a job that is ${before} leads to ${after}`, () => {
      const bench = new JobsBench();
      toState[before]?.(bench);
      assert.equal(bench.get(ID).state, before);
      const code = bench.code('cancel', { id: ID, reason: 'asked' });
      assert.equal(code === 'ok' ? bench.get(ID).state : code, after);
      bench.checkIndexes();
    });
  }

  const ends: [how: string, kind: string, state: string, outcome: string][] = [
    ['its worker stopped it', 'cancelled', 'cancelled', 'cancelled'],
    ['its worker was done before it heard', 'complete', 'succeeded', 'succeeded'],
    ['it failed meanwhile', 'fail', 'cancelled', 'cancelled'],
    ['its node was lost', 'lose', 'cancelled', 'lost'],
  ];
  for (const [how, kind, state, outcome] of ends) {
    it(`ends as ${state} when ${how}`, () => {
      const bench = withJob();
      const ref = bench.assign(ID);
      bench.do('cancel', { id: ID, reason: 'asked' });
      assert.equal(bench.code(kind, { ...ref, result: null, error: SOME_ERROR, reason: 'gone' }), 'ok');
      assert.equal(bench.get(ID).state, state);
      assert.equal(bench.get(ID).history.at(-1)?.outcome, outcome);
      assert.equal(bench.get(ID).cancelReason, 'asked');
    });
  }

  it('is not what a worker may report when nobody asked', () => {
    const bench = withJob();
    assert.equal(bench.code('cancelled', { ...bench.assign(ID), result: null }), 'CONFLICT');
    assert.equal(bench.get(ID).state, 'running');
  });
});

describe('submitting', () => {
  it('the same id with the same spec again is a duplicate, in whatever order its payload was written', () => {
    const bench = withJob({ payload: { a: 1, b: 2 } });
    const [again] = bench.submit({ id: ID, payload: { b: 2, a: 1 } });
    assert.deepEqual(again, { id: ID, duplicate: true });
    const [other] = bench.submit({ id: ID, payload: { a: 2, b: 2 } });
    assert.equal(other?.error?.code, 'CONFLICT');
  });

  it('an idempotency key again names the first job until it is purged, a day after its end at the earliest', () => {
    const bench = withJob({ idempotencyKey: 'k', retentionMs: 5 });
    assert.deepEqual(bench.submit({ id: 'job_2', idempotencyKey: 'k' }), [{ id: ID, duplicate: true }]);
    bench.do('cancel', { id: ID, reason: null });
    bench.groupMs += 24 * 3_600_000 - 1;
    bench.do('purge');
    assert.deepEqual(bench.submit({ id: 'job_2', idempotencyKey: 'k' }), [{ id: ID, duplicate: true }]);
    bench.groupMs += 1;
    bench.do('purge');
    assert.deepEqual(bench.submit({ id: 'job_2', idempotencyKey: 'k' }), [{ id: 'job_2', duplicate: false }]);
    bench.checkIndexes();
  });

  it('a key that no table can hold is refused before anything is written', () => {
    const bench = new JobsBench();
    const spec = { ...specOf(), idempotencyKey: 'é'.repeat(1_000) };
    assert.equal(bench.code('submit', { jobs: [{ id: ID, spec }] }), 'INVALID_PARAMS');
    assert.deepEqual(bench.records(), []);
  });

  it('many due at one moment: each release queues the next thousand', () => {
    const bench = new JobsBench();
    bench.submit(...Array.from({ length: 1_500 }, (_, at) => ({ id: `job_${at}`, delayMs: 5 })));
    bench.groupMs += 5;
    assert.deepEqual(bench.do('release'), { ok: true, result: { released: 1_000, isMore: true } });
    assert.deepEqual(bench.do('release'), { ok: true, result: { released: 500, isMore: false } });
    assert.equal(bench.waiting().length, 1_500);
  });

  it('an instant in the past runs at once, one to come waits for it', () => {
    const bench = new JobsBench();
    bench.submit({ id: ID, runAt: bench.wallMs - 5 }, { id: 'job_2', runAt: bench.wallMs + 5 });
    assert.equal(bench.get(ID).state, 'queued');
    assert.equal(bench.get('job_2').state, 'scheduled');
    bench.groupMs += 1_000;
    bench.wallMs += 4;
    bench.do('release');
    assert.equal(bench.get('job_2').state, 'scheduled', 'group time is not what it waits for');
    bench.wallMs += 1;
    bench.do('release');
    assert.equal(bench.get('job_2').state, 'queued');
  });
});
