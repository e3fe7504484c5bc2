import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';
import type { StoryWorld } from '../world/story-world.ts';

/** Longer than an election takes. Unit: ms. */
const DEPOSED_MS = 10_000;

async function submitSome(world: StoryWorld, count: number, on: string): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1)
    ids.push(
      await world.submit({ type: 'echo', payload: { delayMs: 3_000 }, retry: { maxAttempts: 3 } }, on),
    );
  return ids;
}

describe('the group of the simulated mesh', () => {
  scenario(
    'survives its leader, killed while jobs run: every accepted job ends, each once',
    async (world) => {
      const leader = world.leader();
      const elsewhere = world.other(leader).name;
      const ids = await submitSome(world, 6, elsewhere);
      await world.workerOf(ids[0] as string, elsewhere);
      leader.crash();
      await world.until(() => world.laws.openJobs().length === 0, { limitMs: 90_000, what: 'all jobs end' });
      assert.notEqual(world.leader(), leader);
      leader.start();
      await world.settle();
      for (const id of ids) {
        const outcomes = (await world.outcomesOf(id, elsewhere)) as { outcome: string }[];
        assert.equal(outcomes.filter(({ outcome }) => outcome === 'succeeded').length, 1, id);
      }
    },
  );

  scenario(
    'refuses writes and linearizable reads in a minority, and says honestly what became of them',
    async (world) => {
      const leader = world.leader();
      const majority = world.other(leader).name;
      await world.call(majority, 'kv.put', { key: 'k', value: 'before' });
      world.network.isolate(leader.name);
      const write = await world.refusalOf(leader.name, 'kv.put', { key: 'k', value: 'minority' });
      assert.equal(write.outcome, 'unknown', write.message);
      await world.advance(DEPOSED_MS);
      const read = await world.refusalOf(leader.name, 'kv.get', { key: 'k' });
      assert.ok(['NO_QUORUM', 'UNAVAILABLE', 'TIMEOUT'].includes(read.code), read.code);
      await world.call(majority, 'kv.put', { key: 'k', value: 'majority' });
      world.network.heal();
      await world.settle();
      for (const name of world.names) {
        const found = await world.call(name, 'kv.get', { key: 'k' });
        assert.equal(found?.value, 'majority', name);
      }
    },
  );

  scenario('keeps all that was acknowledged when every machine loses power at once', async (world) => {
    const [ids, keys] = [await submitSome(world, 4, 'n2'), ['a', 'b', 'c', 'd']];
    for (const key of keys) await world.call('n3', 'kv.put', { key, value: `value of ${key}` });
    for (const node of world.nodes) node.crash();
    await world.advance(500);
    for (const node of world.nodes) node.start();
    await world.settle();
    for (const key of keys) {
      const found = await world.call('n1', 'kv.get', { key });
      assert.equal(found?.value, `value of ${key}`);
    }
    for (const id of ids) assert.equal((await world.job(id)).state, 'succeeded', id);
  });

  scenario('orders by its log: wall clocks that jump move no lease and no job', async (world) => {
    const leader = world.leader();
    const asked = world.other(leader).name;
    const held = await world.call(asked, 'lock.acquire', { name: 'l', ttlMs: 20_000 });
    const id = await world.submit({ type: 'echo', payload: null, delayMs: 5_000 }, asked);
    leader.jumpWall(3_600_000);
    await world.advance(1_000);
    assert.equal(
      (await world.refusalOf(world.other(leader).name, 'lock.acquire', { name: 'l', ttlMs: 1_000 })).code,
      'CONFLICT',
    );
    assert.equal((await world.job(id, asked)).state, 'scheduled');
    leader.jumpWall(-7_200_000);
    await world.advance(6_000);
    const renewed = await world.call(asked, 'lock.renew', { name: 'l', leaseId: held.leaseId });
    assert.equal(renewed.fencingToken, held.fencingToken);
    await world.until(() => world.laws.openJobs().length === 0, { limitMs: 30_000, what: 'the job ends' });
    leader.jumpWall(3_600_000);
    await world.settle();
  });
});
