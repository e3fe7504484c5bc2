import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';

describe('a queue in the simulated mesh', () => {
  scenario(
    'keeps to its limits over a change of the leader, and nothing in it is forgotten',
    async (world) => {
      let most = 0;
      const running = new Set<string>();
      world.onObserved((event) => {
        if (event.type === 'assigned') running.add(event.job);
        if (event.type === 'ended') running.delete(event.job);
        most = Math.max(most, running.size);
      });
      const limits = { queue: 'narrow', concurrency: 3, perKey: 1 };
      await world.call(world.home, 'queue.limit', limits);
      const work = { type: 'echo', payload: { delayMs: 400 }, queue: 'narrow' };
      const ids = Array.from({ length: 12 }, (_, at) => `job_${at}`);
      for (const [at, id] of ids.entries())
        await world.submit({ ...work, id, concurrencyKey: `key-${at % 4}` });
      await world.until(() => running.size > 0, { limitMs: 30_000, what: 'the first begin' });
      const leader = world.leader();
      leader.crash();
      await world.advance(15_000);
      leader.start();
      await world.settle();
      assert.equal(most, 3);
      for (const id of ids) assert.equal((await world.job(id)).state, 'succeeded');
    },
  );

  scenario('that is paused starts nothing until it is resumed, whoever leads', async (world) => {
    await world.call(world.home, 'queue.pause', { queue: 'mail', reason: 'moving' });
    const id = await world.submit({ type: 'echo', payload: null, queue: 'mail' });
    const leader = world.leader();
    leader.crash();
    const elsewhere = world.other(leader).name;
    await world.advance(20_000);
    assert.equal((await world.job(id, elsewhere)).state, 'queued');
    leader.start();
    await world.call(elsewhere, 'queue.resume', { queue: 'mail' });
    await world.settle();
    assert.equal((await world.job(id)).state, 'succeeded');
  });
});
