import assert from 'node:assert/strict';
import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { JobsBench } from './jobs-bench.ts';

describe('rows that are written behind', () => {
  const job = (bench: JobsBench, id: string) => bench.machine.read('jobs').table('jobs').get(id);
  const late = (bench: JobsBench) => bench.machine.read('jobs').derived<LiveIndex>().late;

  it('reach the tables when somebody looks at them, and read the same before', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' });
    assert.equal(job(bench, 'job_a'), undefined);
    assert.equal(bench.get('job_a').state, 'queued');
    assert.deepEqual(
      bench.list().jobs.map(({ id }) => id),
      ['job_a'],
    );
    assert.notEqual(job(bench, 'job_a'), undefined);
    bench.checkIndexes();
  });

  it('are written once for a job that came and ended meanwhile', async () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', payload: [1, 2] });
    const ref = bench.assign('job_a');
    bench.do('complete', { ...ref, result: { done: true } });
    assert.equal(late(bench).size, 1);
    await bench.restart();
    assert.equal(late(bench).size, 0);
    assert.equal(bench.get('job_a').state, 'succeeded');
    assert.deepEqual(bench.get('job_a').result, { done: true });
    assert.deepEqual(bench.machine.read('jobs').table('live').get('job_a'), undefined);
    bench.checkIndexes();
  });

  it('are left for later again when the command that caught up with them is refused', async () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' }, { id: 'job_b' });
    assert.equal(bench.code('retry', { id: 'job_x' }), 'NOT_FOUND');
    assert.equal(late(bench).size, 2);
    assert.equal(job(bench, 'job_a'), undefined);
    await bench.restart();
    assert.deepEqual(
      bench.list().jobs.map(({ id }) => id),
      ['job_b', 'job_a'],
    );
    bench.checkIndexes();
  });

  it('leave no trace of a job that was removed before it was ever written', async () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', retentionMs: 0 });
    bench.do('complete', { ...bench.assign('job_a'), result: null });
    bench.do('purge');
    assert.equal(bench.record('job_a'), undefined);
    await bench.restart();
    assert.equal(bench.record('job_a'), undefined);
    assert.deepEqual(bench.index('blocks'), []);
    bench.checkIndexes();
  });

  it('replace those that a job had when it runs again', async () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', retry: { maxAttempts: 1 } });
    bench.do('fail', {
      ...bench.assign('job_a'),
      error: { code: 'E', message: 'no', retryable: true },
      result: null,
    });
    await bench.restart();
    bench.checkIndexes();
    bench.do('redrive', { id: 'job_a' });
    bench.do('complete', { ...bench.assign('job_a'), result: 1 });
    await bench.restart();
    assert.equal(bench.get('job_a').state, 'succeeded');
    assert.deepEqual(bench.index('dead'), []);
    bench.checkIndexes();
  });

  it('count towards what is to be written', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', payload: 'x'.repeat(10_000) });
    assert.ok(bench.machine.behind.bytes >= 10_000);
    assert.ok(bench.machine.behind.writes > 0);
    bench.list();
    assert.deepEqual(bench.machine.behind, { writes: 0, bytes: 0 });
  });
});
