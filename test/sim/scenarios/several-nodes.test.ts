import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';
import type { Spec } from '../world/story-world.ts';

const work = (nodes: number, seconds: number): Spec => ({
  type: 'shell',
  payload: { command: 'sleep', args: [String(seconds)] },
  retry: { maxAttempts: 3, backoff: 'none' },
  group: { nodes },
});

describe('a job for several nodes at once in the simulated mesh', () => {
  scenario('runs on all of them or on none, and two of them do not wait for each other', async (world) => {
    const begun = new Map<string, Set<string>>();
    world.onObserved((event) => {
      if (event.type !== 'runs') return;
      begun.set(event.job, (begun.get(event.job) ?? new Set()).add(event.node));
    });
    const all = world.names.length;
    const ids: string[] = [];
    for (let at = 0; at < 4; at += 1) ids.push(await world.submit({ ...work(all, 2), id: `job_all_${at}` }));
    const tooMany = await world.submit({ ...work(all + 1, 1), id: 'job_never' });
    const single = await world.submit({ ...work(2, 1), id: 'job_two' });
    const ended = async (id: string) => (await world.job(id)).state === 'succeeded';
    for (const id of [...ids, single])
      for (let second = 0; second < 120 && !(await ended(id)); second += 1) await world.advance(1_000);
    for (const id of ids) {
      assert.equal((await world.job(id)).state, 'succeeded');
      assert.equal(begun.get(id)?.size, all);
    }
    assert.equal((await world.job(single)).state, 'succeeded');
    assert.equal((await world.job(tooMany)).state, 'queued');
    await world.call(world.home, 'job.cancel', { id: tooMany });
    await world.settle();
  });

  scenario(
    'is lost as a whole with one of its nodes, and begins again on all once that is back',
    async (world) => {
      const all = world.names.length;
      const id = await world.submit(work(all, 20));
      const worker = await world.workerOf(id);
      const lost = world.other(worker);
      lost.crash();
      await world.advance(30_000);
      world.laws.checkSafety(); // attempts never overlap, groups all or none
      lost.start();
      await world.settle();
      const job = await world.job(id);
      assert.deepEqual([job.state, job.history[0]?.['outcome']], ['succeeded', 'lost']);
    },
  );
});
