import assert from 'node:assert/strict';
import { rateLimited } from '../../../src/agent/rate-limited-executor.ts';
import type { PeerId } from '../../../src/base/index.ts';
import type { AttemptContext, Executor } from '../../../src/jobs/index.ts';
import { ManualClock, settle } from '../mesh/support.ts';

describe('a type of jobs whose rate its owner limits', () => {
  function world(rates: Readonly<Record<string, string>>) {
    const clock = new ManualClock();
    const begun: [string, number][] = [];
    const inner: Executor = {
      type: 'work',
      execute: async ({ jobId, signal }) => {
        begun.push([signal.aborted ? `${jobId} (stopped)` : jobId, clock.monotonicMs()]);
        return { ok: true, result: null };
      },
    };
    const executor = rateLimited(inner, { clock, rates });
    const begin = (jobId: string): AbortController => {
      const stop = new AbortController();
      const context = { jobId, signal: stop.signal, node: 'n' as PeerId } as AttemptContext;
      void executor.execute(context);
      return stop;
    };
    return { clock, begun, begin, executor, inner };
  }

  it('begins them one after the other, evenly, in the order in which they came', async () => {
    const { clock, begun, begin } = world({ work: '10/s' });
    for (const id of ['a', 'b', 'c']) begin(id);
    await clock.advance(1_000);
    begin('d');
    await settle();
    assert.deepEqual(begun, [
      ['a', 0],
      ['b', 100],
      ['c', 200],
      ['d', 1_000],
    ]);
  });

  it('hands over at once what is stopped while it waits', async () => {
    const { begun, begin } = world({ work: '1/m' });
    begin('a');
    begin('b').abort('cancelled');
    await settle();
    assert.deepEqual(begun, [
      ['a', 0],
      ['b (stopped)', 0],
    ]);
  });

  it('leaves other types as they are', () => {
    const { executor, inner } = world({ other: '1/h' });
    assert.equal(executor, inner);
  });
});
