import assert from 'node:assert/strict';
import { METHODS } from '../../../src/rpc/index.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

describe('a job as it is shown', () => {
  it('has no field that rpc.discover does not tell of', () => {
    const told = METHODS['job.get'].result.shape;
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', retry: { maxAttempts: 1 } });
    bench.do('fail', { ...bench.assign('job_a'), error: { ...SOME_ERROR, exitCode: 3 }, result: null });
    const job = bench.query('jobs', 'get', { id: 'job_a' }) as Record<string, unknown>;
    assert.deepEqual(
      Object.keys(job).filter((key) => !Object.hasOwn(told, key)),
      [],
    );
    const errorFields = Object.keys(told.error.unwrap().shape);
    assert.deepEqual(
      Object.keys(job['error'] as object).filter((key) => !errorFields.includes(key)),
      [],
    );
    METHODS['job.get'].result.parse(job);
  });

  it('says of losses what was asked for: what a command came to is agreed, and older entries said nothing of them', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a', retry: { maxAttempts: 1 } });
    bench.submit({ id: 'job_b', retry: { maxLosses: 0 } });
    const retryOf = (id: string) => {
      const outcome = bench.do('cancel', { id, reason: null });
      assert.ok(outcome.ok);
      return (outcome.result as { readonly spec: { readonly retry: object } }).spec.retry;
    };
    assert.ok(!('maxLosses' in retryOf('job_a')));
    assert.equal((retryOf('job_b') as { maxLosses: number }).maxLosses, 0);
  });
});
