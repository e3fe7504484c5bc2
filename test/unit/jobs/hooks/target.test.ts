import assert from 'node:assert/strict';
import { AspenError, type PeerId } from '../../../../src/base/index.ts';
import { HOOK_TARGET, serveHookTargets } from '../../../../src/jobs/index.ts';
import { resultOf } from '../../lease/machine/support.ts';
import { ManualClock } from '../../lease/manual-clock.ts';
import { FakeLeadership, ToldBench } from '../fake-leadership.ts';
import { knownSecrets } from '../known-secrets.ts';

const HOOK = {
  id: 'hook_1',
  url: 'https://example.org/in',
  on: ['job.dead'],
  type: null,
  queue: null,
  labels: {},
  secretName: 'hook/1',
};

function ground() {
  const bench = new ToldBench([knownSecrets]);
  bench.apply({ module: 'secrets', kind: 'put', body: { name: 'hook/1', readers: ['ann'] } });
  const leadership = new FakeLeadership(bench, new ManualClock());
  serveHookTargets(leadership);
  resultOf(bench.do('addHook', HOOK));
  const { job } = resultOf(bench.do('testHook', { id: 'hook_1' })) as { job: string };
  const ask = (from: string, body: object) =>
    leadership.handlers.get(HOOK_TARGET)?.({ from: from as PeerId, body });
  const refused = (from: string, body: object, code: string) =>
    assert.throws(
      () => ask(from, body),
      (error) => error instanceof AspenError && error.code === code,
    );
  return { bench, job, ask, refused };
}

describe('where a delivery goes (E3)', () => {
  it('is told to the node that runs the delivery, while it does', () => {
    const { bench, job, ask, refused } = ground();
    refused('ann', { jobId: job, fencingToken: 1 }, 'FENCED');
    const ref = bench.assign(job, 'ann');
    assert.deepEqual(ask('ann', ref), { url: HOOK.url, secretName: HOOK.secretName });
    resultOf(bench.do('complete', { ...ref, result: null }));
    refused('ann', ref, 'FENCED');
  });

  it('is told to no other node, and for no other attempt', () => {
    const { bench, job, refused } = ground();
    const ref = bench.assign(job, 'ann');
    refused('bob', ref, 'FENCED');
    refused('ann', { ...ref, fencingToken: ref.fencingToken + 1 }, 'FENCED');
    refused('ann', { ...ref, jobId: 'job_none' }, 'FENCED');
    refused('ann', { jobId: job }, 'INVALID_PARAMS');
  });

  it('is told for no job that is no delivery, whatever its queue is called', () => {
    const { bench, refused } = ground();
    bench.submit({ id: 'job_1', queue: 'hook_1' });
    refused('ann', bench.assign('job_1', 'ann'), 'FENCED');
  });

  it('is gone with its hook', () => {
    const { bench, job, refused } = ground();
    const ref = bench.assign(job, 'ann');
    resultOf(bench.do('removeHook', { id: 'hook_1' }));
    refused('ann', ref, 'NOT_FOUND');
  });
});
