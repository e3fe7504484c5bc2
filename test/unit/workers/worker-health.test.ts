import assert from 'node:assert/strict';
import type { ExecutionResult } from '../../../src/jobs/index.ts';
import { FAILING_MS, FAULTS_TO_FAIL, WorkerHealth } from '../../../src/workers/worker-health.ts';
import { ManualClock } from '../lease/manual-clock.ts';
import { attemptOf } from './support.ts';

const GOOD: ExecutionResult = { ok: true, result: 1 };
const failed = (code: string): ExecutionResult => ({
  ok: false,
  error: { code, message: 'it failed', retryable: true },
  result: null,
});

function ground() {
  const clock = new ManualClock();
  const health = new WorkerHealth(clock);
  let next: ExecutionResult | Error = GOOD;
  const executor = health.watch({
    type: 'http',
    execute: async () => {
      if (next instanceof Error) throw next;
      return next;
    },
  });
  const run = async (outcome: ExecutionResult | Error, times = 1) => {
    next = outcome;
    for (let at = 0; at < times; at += 1) await executor.execute(attemptOf(null)).catch(() => null);
  };
  return { clock, health, executor, run, state: () => health.labels()['worker.http'] };
}

describe('the health of a worker (W7)', () => {
  it('is a label from the start', () => {
    assert.deepEqual(ground().health.labels(), { 'worker.http': 'ok' });
  });

  it('is failing after faults of the node in a row, and ok with the first attempt without', async () => {
    const { run, state } = ground();
    await run(failed('RESOURCE_EXHAUSTED'), FAULTS_TO_FAIL - 1);
    assert.equal(state(), 'ok');
    await run(new Error('a fault of ours'));
    assert.equal(state(), 'failing');
    await run(failed('HTTP_STATUS'));
    assert.equal(state(), 'ok');
  });

  it('does not suffer from jobs that fail for reasons of their own', async () => {
    const { run, state } = ground();
    for (const code of ['HTTP_STATUS', 'UNAVAILABLE', 'DENIED', 'INVALID_PARAMS', 'TIMEOUT'])
      await run(failed(code), FAULTS_TO_FAIL);
    assert.equal(state(), 'ok');
  });

  it('counts as ok again after a while in which nothing was tried', async () => {
    const { run, state, clock } = ground();
    await run(failed('RESOURCE_EXHAUSTED'), FAULTS_TO_FAIL);
    await clock.advance(FAILING_MS - 1);
    assert.equal(state(), 'failing');
    await clock.advance(1);
    assert.equal(state(), 'ok');
  });

  it('changes nothing about what outlives an agent', () => {
    const { health, executor } = ground();
    assert.equal(executor.recover, undefined);
    const lasting = health.watch({ type: 'shell', execute: async () => GOOD, recover: async () => [] });
    assert.notEqual(lasting.recover, undefined);
  });
});
