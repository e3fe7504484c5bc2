import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isFinal } from '../../../src/jobs/record.ts';
import { storedBytes } from '../../../src/jobs/record-store.ts';
import type { PurgeCursor } from '../../../src/jobs/retention.ts';
import { resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';
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

interface Purge {
  readonly purged: number;
  readonly isMore: boolean;
  readonly next: PurgeCursor | null;
}

/** Until all was looked at. @returns what each command removed. */
function purgeAll(bench: JobsBench): number[] {
  const removed: number[] = [];
  let from: PurgeCursor | null = null;
  do {
    const { purged, next } = resultOf(bench.do('purge', { from })) as Purge;
    removed.push(purged);
    from = next;
  } while (from !== null);
  return removed;
}

/** Jobs of which the first `keptCount` may not go for a day. */
function finishMany(
  bench: JobsBench,
  { queue, keptCount, count }: { queue: string; keptCount: number; count: number },
): void {
  const jobs = Array.from({ length: count }, (_, at) => ({
    id: `job_${queue}_${at}`,
    queue,
    ...(at < keptCount && { idempotencyKey: `${queue}/${at}` }),
  }));
  for (let at = 0; at < count; at += 1_000) bench.submit(...jobs.slice(at, at + 1_000));
  jobs.forEach(({ id }, at) => {
    if (at % 3 === 0) bench.do('complete', { ...bench.assign(id), result: null });
    else bench.do('cancel', { id, reason: null });
  });
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
    assert.deepEqual(purged, { purged: 3, isMore: false, next: null });
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
    const { next, ...first } = resultOf(bench.do('purge')) as Purge;
    assert.deepEqual(first, { purged: 1_000, isMore: true });
    assert.deepEqual(resultOf(bench.do('purge', { from: next })), { purged: 500, isMore: false, next: null });
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
    assert.deepEqual(resultOf(bench.do('purge')), { purged: 0, isMore: false, next: null });
    assert.deepEqual(ids(bench), ['job_1', 'job_2', 'job_3']);
  });

  it('is found behind whatever may not go, however much that is, at 2,000 looks a command (Q11)', () => {
    const bench = new JobsBench();
    finishMany(bench, { queue: 'mail', keptCount: 4_100, count: 4_120 });
    limit(bench, 'queue', 'mail', { maxFinished: 4_105 });
    assert.deepEqual(purgeAll(bench), [0, 0, 15]);
    assert.deepEqual(purgeAll(bench), [0]);
    limit(bench, 'group', '', { maxFinished: 4_102 });
    assert.deepEqual(purgeAll(bench), [0, 0, 3], 'of all jobs, which end in several ways');
    bench.checkIndexes();
  });

  it('goes on with the next queue where one is through, with the looks that are left (Q11)', () => {
    const bench = new JobsBench();
    finishMany(bench, { queue: 'b', keptCount: 1_500, count: 1_510 });
    finishMany(bench, { queue: 'a', keptCount: 1_500, count: 1_510 });
    for (const queue of ['b', 'a']) limit(bench, 'queue', queue, { maxFinished: 10 });
    assert.deepEqual(purgeAll(bench), [10, 10]);
    limit(bench, 'group', '', { maxFinished: 0 });
    assert.deepEqual(purgeAll(bench), [0, 0, 0], 'two queues of 1,500, then all 3,000');
    bench.groupMs += 24 * 3_600_000;
    assert.equal(
      purgeAll(bench).reduce((sum, one) => sum + one),
      3_000,
    );
    assert.deepEqual(ids(bench), []);
    bench.checkIndexes();
  });

  it('is looked for by the leader to its end, with a rest after each look that was in vain (Q11)', async () => {
    const mesh = new Mesh().lead();
    finishMany(mesh.bench, { queue: 'mail', keptCount: 4_100, count: 4_110 });
    limit(mesh.bench, 'queue', 'mail', { maxFinished: 4_105 });
    await mesh.clock.advance(2_000);
    assert.equal(mesh.bench.records().length, 4_105);
    limit(mesh.bench, 'queue', 'mail', { maxFinished: 10 });
    const before = mesh.proposed('purge');
    await mesh.clock.advance(60_000);
    assert.equal(mesh.bench.records().length, 4_100, 'no more may go');
    const looks = mesh.proposed('purge') - before;
    assert.ok(looks >= 6 && looks <= 30, `${looks} purges in a minute`);
  });

  it('is removed by a log from before as it was then: the first 2,000 alone are looked at (lease A5)', () => {
    const bench = new JobsBench();
    finishMany(bench, { queue: 'mail', keptCount: 2_100, count: 2_110 });
    limit(bench, 'queue', 'mail', { maxFinished: 2_100 });
    bench.version = 1;
    assert.deepEqual(resultOf(bench.do('purge')), { purged: 0, isMore: false });
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
