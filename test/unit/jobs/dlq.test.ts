import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DeadView, Purged, Redriven } from '../../../src/jobs/dlq.ts';
import type { JobSpecInput, JobView } from '../../../src/jobs/index.ts';
import { resultOf } from '../lease/machine/support.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

interface Page {
  readonly jobs: DeadView[];
  readonly cursor?: string;
}

function list(bench: JobsBench, params: object = {}): Page {
  return bench.query('jobs', 'dlqList', params) as Page;
}

function ids(bench: JobsBench, params: object = {}): string[] {
  return list(bench, params).jobs.map(({ id }) => id);
}

/** Submits a job and lets its only attempt fail. */
function kill(bench: JobsBench, id: string, spec: Partial<JobSpecInput> = {}, code = 'FAILED'): void {
  bench.submit({ id, retry: { maxAttempts: 1 }, ...spec });
  fail(bench, id, code);
  bench.wallMs += 1;
}

function fail(bench: JobsBench, id: string, code = 'FAILED'): void {
  const error = { ...SOME_ERROR, code, retryable: false };
  resultOf(bench.do('fail', { ...bench.assign(id), error, result: null }));
}

function redrive(bench: JobsBench, body: object): Redriven {
  const redriven = resultOf(bench.do('redrive', body)) as Redriven;
  bench.checkIndexes();
  return redriven;
}

describe('the dead-letter queue', () => {
  it('lists dead jobs, the latest first, by queue, type and reason', () => {
    const bench = new JobsBench();
    kill(bench, 'job_1', { queue: 'mail' });
    kill(bench, 'job_2', { queue: 'mail' }, 'TIMEOUT');
    kill(bench, 'job_3', {}, 'TIMEOUT');
    kill(bench, 'job_4', { type: 'other', queue: 'mail2' });
    bench.submit({ id: 'job_5' });
    assert.deepEqual(ids(bench), ['job_4', 'job_3', 'job_2', 'job_1']);
    assert.deepEqual(ids(bench, { queue: 'mail' }), ['job_2', 'job_1']);
    assert.deepEqual(ids(bench, { reason: 'TIMEOUT' }), ['job_3', 'job_2']);
    assert.deepEqual(ids(bench, { reason: 'TIMEOUT', queue: 'mail' }), ['job_2']);
    assert.deepEqual(ids(bench, { type: 'other' }), ['job_4']);
    assert.deepEqual(ids(bench, { queue: 'nobody' }), []);
    bench.checkIndexes();
  });

  it('is moved past what cannot be, in one command and from one to the next', () => {
    const bench = new JobsBench();
    for (const at of [1, 2, 3]) {
      kill(bench, `job_${at}`, { queue: 'mail' });
      bench.submit({ id: `job_after_${at}`, dependsOn: [`job_${at}`], onDependencyFailure: 'block' });
    }
    for (const at of [4, 5]) kill(bench, `job_${at}`, { queue: 'mail' });
    const purge = (body: object) => resultOf(bench.do('purgeDead', body)) as Purged;
    const filter = { queue: 'mail' };
    const first = purge({ filter, limit: 1 });
    assert.deepEqual(first.purged, ['job_4']);
    assert.equal(first.isMore, true);
    const second = purge({ filter, limit: 1, cursor: first.cursor });
    assert.deepEqual(second, { purged: ['job_5'], isMore: false });
    assert.deepEqual(purge({ filter }), { purged: [], isMore: false });
    bench.checkIndexes();
  });

  it('runs again what can, behind what cannot any more', () => {
    const bench = new JobsBench();
    const deadlineAt = bench.wallMs + 10_000;
    for (const at of [1, 2, 3]) kill(bench, `job_${at}`, { queue: 'mail', deadlineAt });
    bench.wallMs += 20_000;
    for (const at of [4, 5]) kill(bench, `job_${at}`, { queue: 'mail' });
    const step = redrive(bench, { filter: { queue: 'mail' }, limit: 1 });
    assert.deepEqual(step.redriven, ['job_4']);
    assert.deepEqual(
      step.refused.map(({ id }) => id),
      ['job_1', 'job_2', 'job_3'],
    );
    const rest = redrive(bench, { filter: { queue: 'mail' }, cursor: step.cursor });
    assert.deepEqual(rest, { redriven: ['job_5'], refused: [], isMore: false });
  });

  it('pages through with a cursor, also while jobs die meanwhile', () => {
    const bench = new JobsBench();
    for (let at = 1; at <= 5; at += 1) kill(bench, `job_${at}`);
    const first = list(bench, { limit: 2 });
    kill(bench, 'job_6');
    const second = list(bench, { limit: 2, cursor: first.cursor });
    const third = list(bench, { limit: 2, cursor: second.cursor });
    const pages = [first, second, third].map(({ jobs }) => jobs.map(({ id }) => id));
    assert.deepEqual(pages, [['job_5', 'job_4'], ['job_3', 'job_2'], ['job_1']]);
    assert.equal(third.cursor, undefined);
    assert.throws(() => list(bench, { cursor: 'zz' }), /not one that was given/);
  });

  it('shows a dead job with its whole history, and no other job', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_1', retry: { maxAttempts: 2, backoff: 'none' } });
    for (let at = 0; at < 2; at += 1)
      bench.do('fail', { ...bench.assign('job_1'), error: SOME_ERROR, result: null });
    const { history, error } = bench.query('jobs', 'dlqInspect', { id: 'job_1' }) as JobView;
    assert.deepEqual(
      history.map(({ attempt, outcome }) => [attempt, outcome]),
      [
        [1, 'failed'],
        [2, 'failed'],
      ],
    );
    assert.equal(error?.code, 'FAILED');
    bench.submit({ id: 'job_2' });
    assert.throws(() => bench.query('jobs', 'dlqInspect', { id: 'job_2' }), /job_2 is queued, not dead/);
  });

  it('lets a job run once more under its id, with its history, and asked twice no further time (Q8)', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_1', retry: { maxAttempts: 3, backoff: 'none' } });
    fail(bench, 'job_1');
    assert.deepEqual(redrive(bench, { id: 'job_1' }), { redriven: ['job_1'], refused: [], isMore: false });
    assert.equal(bench.code('redrive', { id: 'job_1' }), 'CONFLICT');
    assert.deepEqual(ids(bench), []);
    bench.do('fail', { ...bench.assign('job_1'), error: SOME_ERROR, result: null });
    const { state, attempt, history } = bench.get('job_1');
    assert.deepEqual([state, attempt, history.length], ['dead', 2, 2]);
    assert.deepEqual(ids(bench), ['job_1']);
    redrive(bench, { id: 'job_1' });
    bench.do('complete', { ...bench.assign('job_1'), result: 'at last' });
    assert.equal(bench.get('job_1').state, 'succeeded');
    assert.deepEqual(ids(bench), []);
    bench.checkIndexes();
  });

  it('redrives those that a filter finds, the first dead first, as many as asked for', () => {
    const bench = new JobsBench();
    for (let at = 1; at <= 4; at += 1) kill(bench, `job_${at}`, {}, at === 2 ? 'TIMEOUT' : 'FAILED');
    const { redriven, isMore } = redrive(bench, { filter: { reason: 'FAILED' }, limit: 2 });
    assert.deepEqual([redriven, isMore], [['job_1', 'job_3'], true]);
    assert.deepEqual(redrive(bench, { filter: {} }).redriven, ['job_2', 'job_4']);
    assert.deepEqual(redrive(bench, { filter: {} }), { redriven: [], refused: [], isMore: false });
  });

  it('says of each job why it cannot run again, and redrives the others', () => {
    const bench = new JobsBench();
    bench.wallMs = 1_000;
    kill(bench, 'job_1', { deadlineAt: 5_000 });
    kill(bench, 'job_2');
    bench.wallMs = 6_000;
    const { redriven, refused } = redrive(bench, { filter: {} });
    assert.deepEqual(redriven, ['job_2']);
    assert.deepEqual(
      refused.map(({ id, error }) => [id, error.code]),
      [['job_1', 'CONFLICT']],
    );
  });

  it('purges one, or those that a filter finds, for good', () => {
    const bench = new JobsBench();
    for (let at = 1; at <= 3; at += 1) kill(bench, `job_${at}`, { queue: 'mail', idempotencyKey: `k${at}` });
    resultOf(bench.do('purgeDead', { id: 'job_2' }));
    assert.equal(bench.record('job_2'), undefined);
    const purged = resultOf(bench.do('purgeDead', { filter: { queue: 'mail' }, limit: 1 })) as Purged;
    assert.deepEqual([purged.purged, purged.isMore], [['job_1'], true]);
    bench.checkIndexes();
    bench.do('purgeDead', { filter: {} });
    assert.deepEqual(bench.records(), []);
    bench.checkIndexes();
  });

  it('does not purge what is not dead, nor what another job waits for', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_1' });
    assert.equal(bench.code('purgeDead', { id: 'job_1' }), 'CONFLICT');
    assert.equal(bench.code('purgeDead', { id: 'job_9' }), 'NOT_FOUND');
    kill(bench, 'job_2');
    bench.submit({ id: 'job_3', dependsOn: ['job_2'], onDependencyFailure: 'block' });
    assert.equal(bench.code('purgeDead', { id: 'job_2' }), 'CONFLICT');
    assert.deepEqual(resultOf(bench.do('purgeDead', { filter: {} })), { purged: [], isMore: false });
  });

  it('keeps dead jobs longer where their queue, or the group, says so', () => {
    const bench = new JobsBench();
    bench.do('limit', { scope: 'group', name: '', deadRetentionMs: 1_000 });
    bench.do('limit', { scope: 'queue', name: 'mail', deadRetentionMs: 5_000 });
    kill(bench, 'job_1', { retentionMs: 10 });
    kill(bench, 'job_2', { retentionMs: 10, queue: 'mail' });
    kill(bench, 'job_3', { retentionMs: 9_000, queue: 'mail' });
    for (const [atMs, left] of [
      [999, ['job_1', 'job_2', 'job_3']],
      [1_000, ['job_2', 'job_3']],
      [5_000, ['job_3']],
      [9_000, []],
    ] as const) {
      bench.groupMs = atMs;
      bench.do('purge');
      assert.deepEqual(
        bench.records().map(({ id }) => id),
        left,
      );
    }
  });

  const rows: [why: string, kind: string, body: object][] = [
    ['neither an id nor a filter', 'redrive', {}],
    ['both', 'redrive', { id: 'job_1', filter: {} }],
    ['an unknown field of the filter', 'purgeDead', { filter: { que: 'x' } }],
    ['no job at all', 'redrive', { filter: {}, limit: 0 }],
    ['more than a command may move', 'redrive', { filter: {}, limit: 1_001 }],
    ['an id that is no text', 'purgeDead', { id: 7 }],
  ];
  for (const [why, kind, body] of rows) {
    it(`refuses ${kind} of ${why}`, () => {
      assert.equal(new JobsBench().code(kind, body), 'INVALID_PARAMS');
    });
  }

  it('finds what a scan of all jobs finds, whatever died and was moved', () => {
    const step = fc.record({
      do: fc.constantFrom('kill', 'kill', 'redrive', 'purgeDead', 'fail'),
      at: fc.nat({ max: 7 }),
      queue: fc.constantFrom('default', 'a', 'aa'),
      code: fc.constantFrom('X', 'Y'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bench = new JobsBench();
        for (const { do: what, at, queue, code } of steps) {
          const id = `job_${at}`;
          if (what === 'kill' && bench.record(id) === undefined) kill(bench, id, { queue }, code);
          else if (what === 'fail' && bench.record(id)?.state === 'queued') fail(bench, id, code);
          else if (what === 'redrive' || what === 'purgeDead') bench.do(what, { id });
          bench.checkIndexes();
          const dead = bench.records().filter(({ state }) => state === 'dead');
          for (const filter of [{}, { queue }, { reason: code }, { queue, reason: code }] as const) {
            const expected = dead.filter(
              ({ spec, error }) =>
                (!('queue' in filter) || spec.queue === filter.queue) &&
                (!('reason' in filter) || error?.code === filter.reason),
            );
            assert.deepEqual(ids(bench, filter).sort(), expected.map((record) => record.id).sort());
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
