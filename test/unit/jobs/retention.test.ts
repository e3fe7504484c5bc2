import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isFinal } from '../../../src/jobs/record.ts';
import { storedBytes } from '../../../src/jobs/record-store.ts';
import { resultOf } from '../lease/machine/support.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

function limit(bench: JobsBench, scope: 'queue' | 'group', name: string, patch: object): void {
  resultOf(bench.do('limit', { scope, name, ...patch }));
}

function finish(bench: JobsBench, id: string, queue = 'default', payload: unknown = null): void {
  bench.submit({ id, queue, payload });
  bench.do('complete', { ...bench.assign(id), result: null });
}

function kill(bench: JobsBench, id: string, queue: string): void {
  bench.submit({ id, queue, retry: { maxAttempts: 1 } });
  bench.do('fail', { ...bench.assign(id), error: SOME_ERROR, result: null });
}

function ids(bench: JobsBench): string[] {
  return bench.records().map(({ id }) => id);
}

describe('what is kept of finished jobs', () => {
  it('is bounded by count: the first submitted go first, dead and unfinished ones stay', () => {
    const bench = new JobsBench();
    kill(bench, 'job_0', 'default');
    for (let at = 1; at <= 5; at += 1) finish(bench, `job_${at}`);
    bench.submit({ id: 'job_6' });
    limit(bench, 'group', '', { maxFinished: 2 });
    const purged = resultOf(bench.do('purge')) as { purged: number; isMore: boolean };
    assert.deepEqual(purged, { purged: 3, isMore: false });
    assert.deepEqual(ids(bench), ['job_0', 'job_4', 'job_5', 'job_6']);
    bench.checkIndexes();
  });

  it('is bounded by bytes as stored', () => {
    const bench = new JobsBench();
    for (let at = 1; at <= 4; at += 1) finish(bench, `job_${at}`, 'default', 'x'.repeat(1_000));
    limit(bench, 'group', '', { maxFinishedBytes: 2_500 });
    bench.do('purge');
    assert.deepEqual(ids(bench), ['job_3', 'job_4']);
    bench.checkIndexes();
  });

  it('is bounded for a queue alone', () => {
    const bench = new JobsBench();
    for (let at = 1; at <= 3; at += 1) finish(bench, `job_${at}`, 'mail');
    kill(bench, 'job_4', 'mail');
    finish(bench, 'job_5', 'mail2');
    finish(bench, 'job_6');
    limit(bench, 'queue', 'mail', { maxFinished: 1 });
    bench.do('purge');
    assert.deepEqual(ids(bench), ['job_3', 'job_4', 'job_5', 'job_6']);
    assert.equal(bench.code('limit', { scope: 'queue', name: 'default', maxFinished: 1 }), 'INVALID_PARAMS');
  });

  it('is removed by the thousand, with no more than that in one command (Q9)', () => {
    const bench = new JobsBench();
    bench.submit(...Array.from({ length: 1_500 }, (_, at) => ({ id: `job_${at}` })));
    for (let at = 0; at < 1_500; at += 1) bench.do('cancel', { id: `job_${at}`, reason: null });
    limit(bench, 'group', '', { maxFinished: 0 });
    assert.deepEqual(resultOf(bench.do('purge')), { purged: 1_000, isMore: true });
    assert.deepEqual(resultOf(bench.do('purge')), { purged: 500, isMore: false });
    assert.equal(bench.query('jobs', 'nextExpiry'), null);
  });

  it('keeps what an idempotency key names for a day, however long it would be kept otherwise (Q10, J4)', () => {
    const bench = new JobsBench();
    const week = { idempotencyKey: 'week' };
    bench.submit(
      { id: 'job_1', ...week },
      { id: 'job_2', idempotencyKey: 'now', retentionMs: 0 },
      { id: 'job_3' },
    );
    for (const id of ['job_1', 'job_2', 'job_3']) bench.do('cancel', { id, reason: null });
    limit(bench, 'group', '', { maxFinished: 0 });
    const dayMs = 24 * 3_600_000;
    bench.do('purge');
    assert.deepEqual(ids(bench), ['job_1', 'job_2']);
    assert.deepEqual(bench.submit({ id: 'job_4', ...week }), [{ id: 'job_1', duplicate: true }]);
    bench.groupMs += dayMs;
    bench.do('purge');
    assert.deepEqual(ids(bench), []);
    bench.checkIndexes();
  });

  it('keeps what a job waits for (Q10)', () => {
    const bench = new JobsBench();
    kill(bench, 'job_1', 'default');
    bench.submit({ id: 'job_2' }, { id: 'job_3', dependsOn: ['job_2'] });
    limit(bench, 'group', '', { maxFinished: 0 });
    assert.deepEqual(resultOf(bench.do('purge')), { purged: 0, isMore: false });
    assert.deepEqual(ids(bench), ['job_1', 'job_2', 'job_3']);
  });

  it('is within its bounds after a purge, whatever was finished where, and no more is removed than must be', () => {
    const job = fc.record({ queue: fc.constantFrom('default', 'a', 'b'), size: fc.nat({ max: 300 }) });
    const most = fc.record({ maxFinished: fc.nat({ max: 8 }), maxFinishedBytes: fc.nat({ max: 2_000 }) });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 15 }), most, most, (jobs, ofAll, ofA) => {
        const bench = new JobsBench();
        jobs.forEach(({ queue, size }, at) => {
          finish(bench, `job_${at}`, queue, 'x'.repeat(size));
        });
        const twin = bench
          .records()
          .filter(({ state }) => isFinal(state))
          .sort((left, right) => left.position - right.position)
          .map((record) => ({ id: record.id, queue: record.spec.queue, bytes: storedBytes(record) }));
        const trim = (kept: typeof twin, of: typeof ofAll) => {
          const sum = () => kept.reduce((total, { bytes }) => total + bytes, 0);
          while (kept.length > of.maxFinished || sum() > of.maxFinishedBytes) kept.shift();
          return kept;
        };
        const inA = new Set(
          trim(
            twin.filter(({ queue }) => queue === 'a'),
            ofA,
          ),
        );
        const expected = trim(
          twin.filter((one) => one.queue !== 'a' || inA.has(one)),
          ofAll,
        );
        limit(bench, 'group', '', ofAll);
        limit(bench, 'queue', 'a', ofA);
        while ((resultOf(bench.do('purge')) as { isMore: boolean }).isMore);
        assert.deepEqual(ids(bench).sort(), expected.map(({ id }) => id).sort());
        bench.checkIndexes();
      }),
      { numRuns: 60 },
    );
  });
});
