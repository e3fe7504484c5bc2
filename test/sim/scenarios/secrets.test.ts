import assert from 'node:assert/strict';
import type { ParamsInput } from '../../../src/rpc/index.ts';
import { scenario } from '../world/scenario.ts';
import type { SimNode } from '../world/sim-node.ts';
import type { StoryWorld } from '../world/story-world.ts';

const WAIT_MS = 120_000;
const SHELL = { type: 'shell', retry: { maxAttempts: 1 } } as const;

/** What only looks sealed: the group keeps it and never opens it. */
function sealedFor(nodes: readonly SimNode[], number: number): ParamsInput<'secret.set'> {
  const bytes = (count: number) => Buffer.alloc(count, number).toString('base64');
  return {
    name: 'db',
    id: number.toString(16).padStart(32, '0'),
    box: bytes(100),
    grants: nodes.map(({ peerId }) => ({ peerId, sealingKey: bytes(32), wrap: bytes(80) })),
  };
}

async function grantsOn(world: StoryWorld, node: SimNode): Promise<readonly string[]> {
  const { grants } = await world.call(node.name, 'secret.get', { name: 'db' });
  return grants.map(({ peerId }) => peerId);
}

describe('secrets of the simulated mesh', () => {
  scenario('are where they were granted after the leader dies in the middle, once', async (world) => {
    const leader = world.leader();
    const [asked, reader] = [world.other(leader), world.other(leader, world.other(leader))];
    const wish = { ...sealedFor([reader], 1), requestId: 'set-1' };
    const setting = world.call(asked.name, 'secret.set', wish);
    const [answer] = await Promise.allSettled([setting, world.pause(15).then(() => leader.crash())]);
    const again = await world.call(asked.name, 'secret.set', wish);
    if (answer.status === 'fulfilled') assert.equal(answer.value.version, again.version);
    assert.equal(again.version, 1);
    leader.start();
    await world.until(() => leader.isReady, { limitMs: WAIT_MS, what: 'the old leader is back' });
    assert.deepEqual(await grantsOn(world, leader), [reader.peerId]);
    const payload = { command: 'true', env: { A: 'secret://db' } };
    const id = await world.submit({ ...SHELL, payload }, asked.name);
    const job = await world.call(asked.name, 'job.wait', { id, timeoutMs: WAIT_MS });
    assert.equal(job.node, reader.peerId);
    await world.settle();
  });

  scenario(
    'are taken from a member that is revoked, and jobs wait for one that may read them',
    async (world) => {
      const leader = world.leader();
      const thief = world.other(leader);
      const heir = world.other(leader, thief);
      await world.call(leader.name, 'secret.set', sealedFor([thief], 1));
      world.expectMember(thief.name, false);
      await world.call(leader.name, 'node.revoke', { peerId: thief.peerId, reason: 'stolen' });
      const { exposedTo, grants } = await world.call(heir.name, 'secret.get', { name: 'db' });
      assert.deepEqual([exposedTo, grants], [[thief.peerId], []]);
      const id = await world.submit(
        { ...SHELL, payload: { command: 'true', env: { A: 'secret://db' } } },
        heir.name,
      );
      await world.advance(30_000);
      assert.equal((await world.job(id, heir.name)).state, 'queued');
      await world.call(heir.name, 'secret.set', sealedFor([heir], 2));
      const job = await world.call(heir.name, 'job.wait', { id, timeoutMs: WAIT_MS });
      assert.equal(job.node, heir.peerId);
      await world.settle();
    },
    { nodeCount: 5 },
  );
});
