import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';

describe('the members of the simulated mesh', () => {
  scenario(
    'go on when one is revoked while it works: its job runs elsewhere, and it is heard no more',
    async (world) => {
      const id = await world.submit({
        type: 'echo',
        payload: { delayMs: 20_000 },
        retry: { maxAttempts: 3 },
      });
      const worker = await world.workerOf(id);
      const asked = world.other(worker).name;
      await world.call(asked, 'node.revoke', { peerId: worker.peerId, reason: 'lost' });
      world.expectMember(worker.name, false);
      await world.until(() => world.laws.openJobs().length === 0, { limitMs: 90_000, what: 'the job ends' });
      const job = await world.job(id, asked);
      assert.equal(job.state, 'succeeded');
      assert.notEqual(world.nameOf(job.node ?? ''), worker.name);
      const refused = await world.refusalOf(worker.name, 'kv.put', { key: 'k', value: 'from outside' });
      assert.notEqual(refused.code, 'INTERNAL', refused.message);
      await world.settle();
      assert.equal(await world.call(asked, 'kv.get', { key: 'k' }), null);
    },
    { nodeCount: 4 },
  );

  scenario(
    'are joined by another while links lose every fifth frame and the leader dies',
    async (world) => {
      world.links.setProfile({ shortestMs: 1, longestMs: 50, loss: 0.2, duplication: 0.2, reordering: 0.3 });
      const leader = world.leader();
      const { ticket } = await world.call(leader.name, 'mesh.ticket', { uses: 1 });
      const joiner = world.node('n4');
      world.expectMember('n4', true);
      joiner.start(ticket);
      await world.advance(200);
      leader.crash();
      await world.until(() => joiner.isReady, { limitMs: 120_000, what: 'n4 is a member' });
      leader.start();
      world.network.heal();
      const id = await world.submit({ type: 'echo', payload: null }, 'n4');
      await world.settle();
      assert.equal((await world.job(id)).state, 'succeeded');
    },
    { nodeCount: 4, memberCount: 3 },
  );
});
