import assert from 'node:assert/strict';
import { WAITING_LIMIT } from '../../../src/jobs/admission.ts';
import type { QueueView } from '../../../src/jobs/queues.ts';
import { resultOf } from '../lease/machine/support.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly details?: { readonly heldBy?: string; readonly limit?: string; readonly retryAfterMs?: number };
}

function withJobs(count: number, spec: object = {}): JobsBench {
  const bench = new JobsBench();
  bench.openSession('ann', 'ses_ann');
  for (let at = 1; at <= count; at += 1) bench.submit({ id: `job_${at}`, ...spec });
  return bench;
}

/** @returns what held each job back; undefined where it started. */
function start(bench: JobsBench, ...ids: string[]): (Refusal | undefined)[] {
  const assignments = ids.map((jobId) => ({ jobId, peerId: 'ann', sessionId: 'ses_ann' }));
  const results = resultOf(bench.do('assign', { assignments })) as { error?: Refusal }[];
  bench.checkIndexes();
  return results.map(({ error }) => error);
}

function queue(bench: JobsBench, name: string): QueueView {
  const { queues } = bench.query('jobs', 'queues', { queue: name }) as { queues: QueueView[] };
  return queues[0] as QueueView;
}

function limit(bench: JobsBench, scope: string, name: string, patch: object): void {
  resultOf(bench.do('limit', { scope, name, ...patch }));
}

describe('a paused queue', () => {
  it('starts nothing and keeps what waits and what runs', () => {
    const bench = withJobs(2, { queue: 'mail' });
    start(bench, 'job_1');
    const paused = resultOf(
      bench.do('pauseQueue', { queue: 'mail', reason: 'the printer burns' }),
    ) as QueueView;
    assert.equal(paused.paused, true);
    const [held] = start(bench, 'job_2');
    assert.equal(held?.code, 'CONFLICT');
    assert.equal(held?.message, 'queue mail is paused: the printer burns');
    const { waiting, running, pauseReason, states } = queue(bench, 'mail');
    assert.deepEqual(
      { waiting, running, pauseReason, states },
      {
        waiting: 1,
        running: 1,
        pauseReason: 'the printer burns',
        states: { queued: 1, running: 1 },
      },
    );
  });

  it('still takes jobs in, and starts them once it is resumed', () => {
    const bench = withJobs(0);
    bench.do('pauseQueue', { queue: 'mail', reason: null });
    const [submitted] = bench.submit({ id: 'job_1', queue: 'mail' });
    assert.equal(submitted?.error, undefined);
    assert.equal(start(bench, 'job_1')[0]?.message, 'queue mail is paused');
    bench.do('resumeQueue', { queue: 'mail' });
    assert.deepEqual(start(bench, 'job_1'), [undefined]);
    assert.equal(bench.index('limits').length, 0, 'what has no limits has no row');
  });

  it('is answered alike by a replica that was started again and met the states in another order', async () => {
    const [first, again] = [withJobs(2, { queue: 'mail' }), withJobs(2, { queue: 'mail' })];
    for (const bench of [first, again]) start(bench, 'job_1');
    await again.restart();
    const answers = [first, again].map((bench) =>
      JSON.stringify(resultOf(bench.do('pauseQueue', { queue: 'mail', reason: null }))),
    );
    assert.equal(answers[0], answers[1]);
  });

  it('does not hold back another queue', () => {
    const bench = withJobs(1);
    bench.do('pauseQueue', { queue: 'mail', reason: null });
    assert.deepEqual(start(bench, 'job_1'), [undefined]);
  });

  it('keeps its limits over a pause, and its pause over a change of limits', () => {
    const bench = withJobs(0);
    limit(bench, 'queue', 'mail', { concurrency: 2 });
    bench.do('pauseQueue', { queue: 'mail', reason: 'r' });
    limit(bench, 'queue', 'mail', { maxWaiting: 7 });
    assert.equal(queue(bench, 'mail').paused, true);
    bench.do('resumeQueue', { queue: 'mail' });
    const { concurrency, maxWaiting } = queue(bench, 'mail').limits;
    assert.deepEqual({ concurrency, maxWaiting }, { concurrency: 2, maxWaiting: 7 });
  });
});

describe('a limit of attempts at one time', () => {
  it('binds within one command and across commands, and a cancelling attempt holds its place', () => {
    const bench = withJobs(4, { queue: 'mail' });
    limit(bench, 'queue', 'mail', { concurrency: 2 });
    const [first, second, third] = start(bench, 'job_1', 'job_2', 'job_3');
    assert.deepEqual([first, second], [undefined, undefined]);
    assert.equal(third?.message, 'limit of queue mail: 2 of 2 run');
    assert.equal(third?.details?.heldBy, 'concurrency');
    bench.do('cancel', { id: 'job_1', reason: null });
    assert.equal(start(bench, 'job_3')[0]?.code, 'CONFLICT');
    const { running } = bench.record('job_1') ?? {};
    bench.do('cancelled', {
      jobId: 'job_1',
      attempt: running?.attempt,
      fencingToken: running?.fencingToken,
      result: null,
    });
    assert.deepEqual(start(bench, 'job_3'), [undefined]);
  });

  it('that is lowered ends nothing and lets nothing start until enough has ended', () => {
    const bench = withJobs(3, { queue: 'mail' });
    const refs = ['job_1', 'job_2'].map((id) => bench.assign(id));
    limit(bench, 'queue', 'mail', { concurrency: 1 });
    bench.do('complete', { ...refs[0], result: 1 });
    assert.equal(start(bench, 'job_3')[0]?.message, 'limit of queue mail: 1 of 1 run');
    bench.do('complete', { ...refs[1], result: 1 });
    assert.deepEqual(start(bench, 'job_3'), [undefined]);
  });

  it('of a namespace counts over its queues', () => {
    const bench = withJobs(1, { queue: 'a', namespace: 'team' });
    bench.submit({ id: 'job_2', queue: 'b', namespace: 'team' });
    bench.submit({ id: 'job_3', queue: 'b' });
    limit(bench, 'namespace', 'team', { concurrency: 1 });
    const [first, second, third] = start(bench, 'job_1', 'job_2', 'job_3');
    assert.equal(first, undefined);
    assert.equal(second?.message, 'limit of namespace team: 1 of 1 run');
    assert.equal(third, undefined);
  });

  it('for each key binds jobs of that key and queue alone', () => {
    const bench = withJobs(0);
    bench.openSession('ann', 'ses_ann');
    for (const [id, concurrencyKey, name] of [
      ['job_1', 'x', 'mail'],
      ['job_2', 'x', 'mail'],
      ['job_3', 'y', 'mail'],
      ['job_4', 'x', 'other'],
    ] as const)
      bench.submit({ id, concurrencyKey, queue: name });
    bench.submit({ id: 'job_5', queue: 'mail' });
    limit(bench, 'queue', 'mail', { perKey: 1 });
    const held = start(bench, 'job_1', 'job_2', 'job_3', 'job_4', 'job_5');
    assert.deepEqual(
      held.map((one) => one?.message),
      [undefined, 'limit of key x in queue mail: 1 of 1 run', undefined, undefined, undefined],
    );
  });

  it('survives a restart of the replica', async () => {
    const bench = withJobs(2, { queue: 'mail', concurrencyKey: 'x' });
    limit(bench, 'queue', 'mail', { perKey: 1 });
    start(bench, 'job_1');
    await bench.restart();
    assert.equal(start(bench, 'job_2')[0]?.details?.heldBy, 'key');
  });
});

describe('a rate of starts', () => {
  it('lets a burst through, then one for each interval, in group time', () => {
    const bench = withJobs(5, { queue: 'mail' });
    limit(bench, 'queue', 'mail', { ratePerSecond: 2, burst: 2 });
    const held = start(bench, 'job_1', 'job_2', 'job_3');
    assert.deepEqual(
      held.map((one) => one?.message),
      [undefined, undefined, 'rate of queue mail: next in 500 ms'],
    );
    bench.groupMs += 499;
    assert.equal(start(bench, 'job_3')[0]?.message, 'rate of queue mail: next in 1 ms');
    bench.groupMs += 1;
    assert.deepEqual(
      start(bench, 'job_3', 'job_4').map((one) => one?.details?.heldBy),
      [undefined, 'rate'],
    );
  });

  it('of a type counts over queues, and a refused start costs nothing', () => {
    const bench = withJobs(1, { queue: 'a' });
    bench.submit({ id: 'job_2', queue: 'b' });
    limit(bench, 'type', 'echo', { ratePerSecond: 1 });
    limit(bench, 'queue', 'b', { ratePerSecond: 1 });
    const held = start(bench, 'job_1', 'job_2');
    assert.equal(held[1]?.message, 'rate of type echo: next in 1000 ms');
    bench.groupMs += 1_000;
    assert.deepEqual(start(bench, 'job_2'), [undefined], 'the bucket of queue b is as it was');
  });

  it('is paid by a retry too', () => {
    const bench = withJobs(1, { queue: 'a', retry: { maxAttempts: 2, backoff: 'none' } });
    limit(bench, 'queue', 'a', { ratePerSecond: 1 });
    const ref = bench.assign('job_1');
    bench.do('fail', { ...ref, error: SOME_ERROR, result: null });
    assert.equal(start(bench, 'job_1')[0]?.details?.heldBy, 'rate');
  });

  for (const [what, before, after, waitMs] of [
    ['faster', { ratePerSecond: 0.01, burst: 1 }, { ratePerSecond: 100, burst: 10 }, 0],
    ['faster, though not at once', { ratePerSecond: 0.1, burst: 1 }, { ratePerSecond: 1 }, 1_000],
    ['slower', { ratePerSecond: 10, burst: 1 }, { ratePerSecond: 0.5 }, 2_000],
  ] as const)
    it(`is the new one from the moment on at which it is set: ${what}`, () => {
      const bench = withJobs(2, { queue: 'mail' });
      limit(bench, 'queue', 'mail', before);
      assert.deepEqual(start(bench, 'job_1'), [undefined]);
      limit(bench, 'queue', 'mail', after);
      if (waitMs > 0) {
        bench.groupMs += waitMs - 1;
        assert.equal(start(bench, 'job_2')[0]?.details?.heldBy, 'rate');
        bench.groupMs += 1;
      }
      assert.deepEqual(start(bench, 'job_2'), [undefined]);
    });

  it('gives no more at one moment than the burst it was lowered to, and no less soon than that fills', () => {
    const bench = withJobs(101, { queue: 'mail' });
    limit(bench, 'queue', 'mail', { ratePerSecond: 1, burst: 100 });
    start(bench, ...Array.from({ length: 100 }, (_, at) => `job_${at + 1}`));
    limit(bench, 'queue', 'mail', { burst: 1 });
    assert.equal(start(bench, 'job_101')[0]?.details?.heldBy, 'rate');
    bench.groupMs += 1_000;
    assert.deepEqual(start(bench, 'job_101'), [undefined]);
  });

  it('leaves no bucket behind once it is lifted', () => {
    const bench = withJobs(1, { queue: 'a' });
    limit(bench, 'queue', 'a', { ratePerSecond: 1 });
    start(bench, 'job_1');
    assert.equal(bench.index('buckets').length, 1);
    limit(bench, 'queue', 'a', { ratePerSecond: null });
    assert.equal(bench.index('buckets').length, 0);
  });
});

describe('a bound of what waits', () => {
  it('refuses each item beyond it, names it, and says when to come back', () => {
    const bench = withJobs(0);
    limit(bench, 'queue', 'mail', { maxWaiting: 2 });
    const results = bench.submit(
      { id: 'job_1', queue: 'mail' },
      { id: 'job_2', queue: 'mail', delayMs: 50 },
      { id: 'job_3', queue: 'mail' },
      { id: 'job_4' },
      { id: 'job_1', queue: 'mail' },
    ) as { error?: Refusal; duplicate?: boolean }[];
    assert.deepEqual(
      results.map(({ error }) => error?.code),
      [undefined, undefined, 'RESOURCE_EXHAUSTED', undefined, undefined],
    );
    const refused = results[2]?.error as Refusal;
    assert.equal(refused.message, 'queue mail is full: 2 of 2 jobs wait');
    assert.deepEqual(refused.details, { limit: 'queue.maxWaiting', retryAfterMs: 1_000 });
    assert.equal(results[4]?.duplicate, true, 'what is there already is not refused');
    assert.equal(bench.record('job_3'), undefined);
    bench.checkIndexes();
  });

  it('lets the next in when one has started', () => {
    const bench = withJobs(0);
    limit(bench, 'namespace', 'team', { maxWaiting: 1 });
    bench.submit({ id: 'job_1', namespace: 'team' });
    assert.equal(bench.submit({ id: 'job_2', namespace: 'team' })[0]?.error?.code, 'RESOURCE_EXHAUSTED');
    bench.assign('job_1');
    assert.equal(bench.submit({ id: 'job_2', namespace: 'team' })[0]?.error, undefined);
  });

  it('never refuses what was accepted before: a retry waits whatever the limit is', () => {
    const bench = withJobs(1, { retry: { maxAttempts: 2, backoff: 'none' } });
    const ref = bench.assign('job_1');
    limit(bench, 'group', '', { maxWaiting: 0 });
    bench.do('fail', { ...ref, error: SOME_ERROR, result: null });
    assert.equal(bench.get('job_1').state, 'queued');
    assert.equal(bench.submit({ id: 'job_2' })[0]?.error?.code, 'RESOURCE_EXHAUSTED');
  });

  it('is there for all jobs together when nobody set one', () => {
    assert.equal(WAITING_LIMIT, 2_000_000);
  });
});

describe('limits that cannot be', () => {
  const rows: [why: string, body: object][] = [
    ['an unknown field', { scope: 'queue', name: 'a', concurency: 1 }],
    ['a concurrency of nothing: pause it', { scope: 'queue', name: 'a', concurrency: 0 }],
    ['half an attempt', { scope: 'queue', name: 'a', concurrency: 1.5 }],
    ['a negative rate', { scope: 'queue', name: 'a', ratePerSecond: -1 }],
    ['no name', { scope: 'queue', name: '', concurrency: 1 }],
    ['a name far too long', { scope: 'queue', name: 'x'.repeat(129), concurrency: 1 }],
    ['a rate of a namespace', { scope: 'namespace', name: 'a', ratePerSecond: 1 }],
    ['an unknown scope', { scope: 'planet', name: 'a', concurrency: 1 }],
  ];
  for (const [why, body] of rows) {
    it(`are refused: ${why}`, () => {
      assert.equal(new JobsBench().code('limit', body), 'INVALID_PARAMS');
    });
  }
});
