import assert from 'node:assert/strict';
import { FAILURES_TO_OPEN, OPEN_LEAST_MS } from '../../../../src/jobs/hooks/breaker.ts';
import type { HookView } from '../../../../src/jobs/hooks/commands.ts';
import { DELIVERY_TYPE, type DeliveryPayload } from '../../../../src/jobs/hooks/deliveries.ts';
import { HOOK_CONCURRENCY, HOOK_WAITING_LIMIT, HOOKS_LIMIT } from '../../../../src/jobs/hooks/hook.ts';
import { NO_NETWORK, SENDER_FAULTS_LIMIT } from '../../../../src/jobs/hooks/sender-faults.ts';
import type { JobRecord } from '../../../../src/jobs/record.ts';
import { resultOf } from '../../lease/machine/support.ts';
import { Mesh } from '../dispatcher-mesh.ts';
import { JobsBench, SOME_ERROR } from '../jobs-bench.ts';
import { knownSecrets } from '../known-secrets.ts';

function withHook(fields: object = {}): JobsBench {
  const bench = new JobsBench();
  bench.openSession('ann', 'ses_ann');
  addHook(bench, 'hook_1', fields);
  return bench;
}

function addHook(bench: JobsBench, id: string, fields: object = {}): HookView {
  const fresh = {
    id,
    url: 'https://example.org/in',
    on: ['job.dead'],
    type: null,
    queue: null,
    labels: {},
    secretName: null,
  };
  return resultOf(bench.do('addHook', { ...fresh, ...fields })) as HookView;
}

function hook(bench: JobsBench, id = 'hook_1'): HookView {
  return bench.query('jobs', 'hook', { id }) as HookView;
}

function deliveries(bench: JobsBench): JobRecord[] {
  bench.checkIndexes();
  return bench.records().filter(({ spec }) => spec.type === DELIVERY_TYPE);
}

function events(bench: JobsBench) {
  return deliveries(bench).map(({ spec }) => (spec.payload as DeliveryPayload).event);
}

function complete(bench: JobsBench, id: string): void {
  resultOf(bench.do('complete', { ...bench.assign(id), result: null }));
}

function die(bench: JobsBench, id: string): void {
  resultOf(
    bench.do('fail', { ...bench.assign(id), error: { ...SOME_ERROR, retryable: false }, result: null }),
  );
}

/** @returns what held it back; undefined where it started. */
function start(bench: JobsBench, id: string): string | undefined {
  const assignments = [{ jobId: id, peerId: 'ann', sessionId: 'ses_ann' }];
  const [result] = resultOf(bench.do('assign', { assignments })) as { error?: { message: string } }[];
  return result?.error?.message;
}

function failDelivery(bench: JobsBench, id: string, error: object = SOME_ERROR): void {
  const record = bench.record(id) as JobRecord;
  if (record.state === 'scheduled') {
    bench.groupMs = Math.max(bench.groupMs, record.dueGroupMs ?? 0);
    resultOf(bench.do('release'));
  }
  resultOf(bench.do('fail', { ...bench.assign(id), error, result: null }));
}

describe('a hook', () => {
  it('is told in the very command in which a job ends (E1)', () => {
    const bench = withHook({ on: ['job.dead', 'job.succeeded'] });
    bench.submit({ id: 'job_1', queue: 'mail', labels: { team: 'a' } }, { id: 'job_2' });
    complete(bench, 'job_1');
    assert.equal(deliveries(bench).length, 1);
    die(bench, 'job_2');
    const [first, second] = events(bench);
    assert.equal(first?.type, 'job.succeeded');
    assert.deepEqual(
      { ...first?.job, submittedAt: 0, startedAt: 0, finishedAt: 0 },
      {
        ...{ id: 'job_1', type: 'echo', queue: 'mail', namespace: 'default', labels: { team: 'a' } },
        ...{
          state: 'succeeded',
          attempt: 1,
          node: 'ann',
          submittedAt: 0,
          startedAt: 0,
          finishedAt: 0,
          error: null,
        },
      },
    );
    assert.deepEqual([second?.type, second?.job?.error], ['job.dead', { ...SOME_ERROR, retryable: false }]);
    assert.notEqual(first?.id, second?.id);
  });

  it('is told of jobs that end without an attempt: cancelled, skipped, too late', () => {
    const bench = withHook({ on: ['job.dead', 'job.cancelled', 'job.skipped'] });
    bench.submit({ id: 'job_1' }, { id: 'job_2', dependsOn: ['job_1'], onDependencyFailure: 'skip' });
    bench.submit({ id: 'job_3', queueTimeoutMs: 10 });
    resultOf(bench.do('cancel', { id: 'job_1', reason: null }));
    bench.groupMs += 20;
    resultOf(bench.do('release'));
    const told = events(bench).map(({ type, job }) => `${job?.id} ${type}`);
    assert.deepEqual(told.sort(), ['job_1 job.cancelled', 'job_2 job.skipped', 'job_3 job.dead']);
  });

  it('is told of a job that ends within its own submission', () => {
    const bench = withHook({ on: ['job.dead', 'job.skipped'] });
    bench.submit({ id: 'job_1' });
    resultOf(bench.do('cancel', { id: 'job_1', reason: null }));
    bench.submit({ id: 'job_2', dependsOn: ['job_1'] }, { id: 'job_3', dependsOn: ['job_1'] });
    assert.deepEqual(
      events(bench).map(({ job }) => job?.id),
      ['job_2', 'job_3'],
    );
    assert.equal(new Set(deliveries(bench).map(({ offset }) => offset)).size, 2);
  });

  it('is told of a further end of a job that ran again', () => {
    const bench = withHook();
    bench.submit({ id: 'job_1' });
    die(bench, 'job_1');
    resultOf(bench.do('retry', { id: 'job_1' }));
    die(bench, 'job_1');
    assert.deepEqual(
      events(bench).map(({ job }) => job?.attempt),
      [1, 2],
    );
  });

  it('is told of nothing else than what it asks for', () => {
    const bench = withHook({ type: 'echo', queue: 'mail', labels: { team: 'a' } });
    bench.submit(
      { id: 'job_1', queue: 'mail', labels: { team: 'a', more: 'b' } },
      { id: 'job_2', queue: 'mail', labels: { team: 'b' } },
      { id: 'job_3', queue: 'post', labels: { team: 'a' } },
      { id: 'job_4', queue: 'mail', labels: { team: 'a' }, type: 'other' },
      { id: 'job_5', queue: 'mail', labels: { team: 'a' } },
    );
    for (const id of ['job_1', 'job_2', 'job_3', 'job_4']) die(bench, id);
    complete(bench, 'job_5');
    assert.deepEqual(
      events(bench).map(({ job }) => job?.id),
      ['job_1'],
    );
  });

  it('is told of no delivery, neither its own nor that of another hook (E2)', () => {
    const bench = withHook();
    addHook(bench, 'hook_2', { on: ['job.dead', 'job.succeeded', 'job.cancelled'] });
    bench.submit({ id: 'job_1' });
    die(bench, 'job_1');
    const [one, two] = deliveries(bench);
    complete(bench, one?.id ?? '');
    die(bench, two?.id ?? '');
    assert.equal(deliveries(bench).length, 2);
  });

  it('that signs has its deliveries where the secret may be read, and nowhere else (E5)', async () => {
    const mesh = new Mesh([knownSecrets]).lead();
    for (const name of ['ann', 'bob', 'cid']) await mesh.join(name, { types: [DELIVERY_TYPE] });
    mesh.bench.apply({ module: 'secrets', kind: 'put', body: { name: 'sign', readers: ['bob'] } });
    const added = addHook(mesh.bench, 'hook_1', { secretName: 'sign' });
    assert.deepEqual([added.signed, added.secretName], [true, 'sign']);
    const sent = [1, 2].map(() => resultOf(mesh.bench.do('testHook', { id: 'hook_1' })) as { job: string });
    await mesh.settle();
    assert.deepEqual(
      mesh.givenIds(),
      sent.map(({ job }) => `${job} to bob`),
    );
  });

  it('is refused when its secret is not there', () => {
    const bench = new JobsBench([knownSecrets]);
    const hook = { id: 'hook_1', url: 'https://e.org', on: ['job.dead'], secretName: 'none' };
    assert.equal(bench.code('addHook', { ...hook, type: null, queue: null, labels: {} }), 'NOT_FOUND');
  });

  it('cannot be imitated: nobody submits a delivery, or a job with the id of one', () => {
    const bench = withHook();
    const [typed, named] = bench.submit({ id: 'job_1', type: DELIVERY_TYPE }, { id: 'job_hk_1_0' });
    assert.deepEqual([typed?.error?.code, named?.error?.code], ['INVALID_PARAMS', 'INVALID_PARAMS']);
  });

  it('that takes too much at once drops what comes beyond, and counts it', () => {
    const bench = withHook({ on: ['job.skipped'] });
    resultOf(bench.do('testHook', { id: 'hook_1' }));
    for (let round = 0; round <= HOOK_WAITING_LIMIT / 1_000; round += 1) {
      const parent = `job_p${round}`;
      const ids = Array.from({ length: 1_000 }, (_, at) => `job_${round}_${at}`);
      const skipped = { dependsOn: [parent], onDependencyFailure: 'skip' as const };
      bench.submit({ id: parent }, ...ids.map((id) => ({ id, ...skipped })));
      resultOf(bench.do('cancel', { id: parent, reason: null }));
      resultOf(bench.do('release'));
    }
    const { waiting, dropped } = hook(bench);
    assert.deepEqual([waiting, dropped], [HOOK_WAITING_LIMIT, 1_001]);
  });

  it('that is removed takes its waiting deliveries with it', () => {
    const bench = withHook();
    bench.submit({ id: 'job_1' }, { id: 'job_2' });
    die(bench, 'job_1');
    die(bench, 'job_2');
    const [running] = deliveries(bench);
    bench.assign(running?.id ?? '');
    assert.deepEqual(resultOf(bench.do('removeHook', { id: 'hook_1' })), { id: 'hook_1', cancelled: 1 });
    assert.deepEqual(
      deliveries(bench)
        .map(({ state }) => state)
        .sort(),
      ['cancelled', 'running'],
    );
    assert.equal(bench.code('resumeHook', { id: 'hook_1' }), 'NOT_FOUND');
  });

  it('is found by its id, a unique prefix, or as the last', () => {
    const bench = withHook();
    addHook(bench, 'hook_2');
    assert.equal(hook(bench, 'last').id, 'hook_2');
    assert.equal(bench.code('pauseHook', { id: 'hook', reason: null }), 'CONFLICT');
    assert.equal(bench.code('pauseHook', { id: 'hook_3', reason: null }), 'NOT_FOUND');
    assert.equal(bench.code('addHook', { id: 'hook_2' }), 'INVALID_PARAMS');
  });

  it('is refused where there are as many as there may be', () => {
    const bench = withHook();
    for (let at = 2; at <= HOOKS_LIMIT; at += 1) addHook(bench, `hook_${at}`);
    const more = {
      id: 'hook_more',
      url: 'https://e.org',
      on: ['job.dead'],
      type: null,
      queue: null,
      labels: {},
      secretName: null,
    };
    assert.equal(bench.code('addHook', more), 'RESOURCE_EXHAUSTED');
    assert.equal(bench.code('addHook', { ...more, id: 'hook_2' }), 'CONFLICT');
    bench.checkIndexes();
  });
});

describe('deliveries of a hook', () => {
  it('wait while it is paused, and go on when it is resumed (E4)', () => {
    const bench = withHook();
    resultOf(bench.do('pauseHook', { id: 'hook_1', reason: 'holidays' }));
    bench.submit({ id: 'job_1' });
    die(bench, 'job_1');
    const [one] = deliveries(bench);
    assert.equal(start(bench, one?.id ?? ''), 'hook_1 is paused: holidays');
    resultOf(bench.do('resumeHook', { id: 'hook_1' }));
    assert.equal(start(bench, one?.id ?? ''), undefined);
  });

  it('are so many at one time', () => {
    const bench = withHook();
    const ids = Array.from({ length: HOOK_CONCURRENCY + 1 }, () => {
      const { job } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
      return job;
    });
    const held = ids.map((id) => start(bench, id)).filter((reason) => reason !== undefined);
    assert.deepEqual(held, [`hook_1: ${HOOK_CONCURRENCY} of ${HOOK_CONCURRENCY} deliveries run`]);
  });

  it('to a dead receiver stop, are probed one at a time, and flow again once one arrived', () => {
    const bench = withHook();
    for (let at = 0; at < 3; at += 1) resultOf(bench.do('testHook', { id: 'hook_1' }));
    const [one, two, three] = deliveries(bench).map(({ id }) => id) as [string, string, string];
    for (let at = 0; at < FAILURES_TO_OPEN; at += 1) failDelivery(bench, one);
    const { circuit, failures, lastError } = hook(bench);
    assert.deepEqual([circuit, failures, lastError?.message], ['open', FAILURES_TO_OPEN, SOME_ERROR.message]);
    assert.match(start(bench, two) ?? '', /circuit of hook_1 is open: next probe in 30000 ms/);
    bench.groupMs += OPEN_LEAST_MS;
    assert.equal(hook(bench).circuit, 'open', 'time passes with the next command');
    const probe = bench.assign(two);
    assert.equal(hook(bench).circuit, 'half-open');
    assert.equal(start(bench, three), 'hook_1: 1 of 1 deliveries run');
    resultOf(bench.do('fail', { ...probe, error: SOME_ERROR, result: null }));
    assert.match(start(bench, three) ?? '', /next probe in 60000 ms/);
    bench.groupMs += 60_000;
    complete(bench, three);
    assert.deepEqual([hook(bench).circuit, hook(bench).failures], ['closed', 0]);
    bench.checkIndexes();
  });

  it('that were lost with their node say nothing of the receiver', () => {
    const bench = withHook();
    const { job } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
    for (let at = 0; at < 5; at += 1) {
      bench.groupMs += 10_000; // a second loss and those after it are followed by a pause
      bench.do('release');
      resultOf(bench.do('lose', { ...bench.assign(job), reason: 'gone', isHandedOver: false }));
    }
    assert.equal(hook(bench).failures, 0);
  });

  it('that never left their node say nothing of the receiver, and cost no attempt, for a long time', () => {
    const bench = withHook();
    const { job } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
    const error = { ...SOME_ERROR, code: NO_NETWORK, retryAfterMs: 30_000 };
    for (let at = 1; at <= SENDER_FAULTS_LIMIT; at += 1) {
      failDelivery(bench, job, error);
      const { failureCount, state, dueGroupMs } = bench.record(job) as JobRecord;
      assert.deepEqual([failureCount, state, dueGroupMs], [0, 'scheduled', bench.groupMs + 30_000], `${at}`);
    }
    assert.deepEqual([hook(bench).circuit, hook(bench).failures], ['closed', 0]);
    failDelivery(bench, job, error);
    assert.deepEqual([(bench.record(job) as JobRecord).failureCount, hook(bench).failures], [1, 1]);
  });

  it('are charged to a job of another type that tells the same', () => {
    const bench = withHook();
    bench.submit({ id: 'job_1' });
    const error = { ...SOME_ERROR, code: NO_NETWORK };
    resultOf(bench.do('fail', { ...bench.assign('job_1'), error, result: null }));
    assert.equal((bench.record('job_1') as JobRecord).failureCount, 1);
  });

  it('are tried at once when an open hook is resumed', () => {
    const bench = withHook();
    const { job } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
    const { job: other } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
    for (let at = 0; at < FAILURES_TO_OPEN; at += 1) failDelivery(bench, job);
    resultOf(bench.do('resumeHook', { id: 'hook_1' }));
    assert.equal(start(bench, other), undefined);
  });
});

describe('a command that is refused', () => {
  it('leaves hooks as they were', () => {
    const bench = withHook();
    assert.equal(
      bench.code('addHook', {
        id: 'hook_1',
        url: 'https://x.org',
        on: ['job.dead'],
        type: null,
        queue: null,
        labels: {},
        secretName: null,
      }),
      'CONFLICT',
    );
    assert.equal(hook(bench).url, 'https://example.org/in');
    bench.checkIndexes();
  });
});
