import assert from 'node:assert/strict';
import { agreedMembers } from '../world/custody.ts';
import { scenario } from '../world/scenario.ts';
import type { SimNode } from '../world/sim-node.ts';
import type { StoryWorld } from '../world/story-world.ts';

const WAIT_MS = 60_000;

describe('who leaves the simulated mesh', () => {
  scenario(
    'hands over the vote too where it is the only one that has one',
    async (world) => {
      const leader = world.leader();
      await world.settled(leave(world, leader));
      await world.settle();
      await worksOn(world);
    },
    { nodeCount: 2 },
  );

  scenario(
    'is told what helps where it is the only voter and the other one is off: it is revoked first where it is gone for good',
    async (world) => {
      const leader = world.leader();
      const [gone] = world.members.filter((node) => node !== leader) as [SimNode];
      gone.crash();
      await world.advance(5_000);
      const refusal = await world.refusalOf(leader.name, 'mesh.leave', { timeoutMs: WAIT_MS });
      assert.equal(refusal.code, 'CONFLICT', refusal.message);
      assert.match(
        refusal.message,
        new RegExp(`start the agent of ${gone.peerId} .*node revoke ${gone.peerId}, then leave`),
      );
      world.expectMember(gone.name, false);
      await world.call(leader.name, 'node.revoke', { peerId: gone.peerId });
      assert.equal(await world.settled(leader.daemon.node.members.countMembers()), 1);
      await world.settled(leave(world, leader)); // the last one
    },
    { nodeCount: 2 },
  );

  scenario(
    'makes way for a standby when no other voter is left, while the root key is replaced for one that was revoked',
    async (world) => {
      const leader = world.leader();
      const [revoked, leaver] = otherVoters(world, leader);
      world.expectMember(revoked.name, false);
      world.observe({ type: 'expelled', node: revoked.name });
      revoked.crash();
      const revoking = leader.call('node.revoke', { peerId: revoked.peerId });
      await world.settled(Promise.all([revoking, leave(world, leaver), leave(world, leader)]));
      await world.settle();
      await worksOn(world);
    },
    { nodeCount: 6 },
  );

  for (const comesBack of [false, true]) {
    scenario(
      `is known to nobody any more when it dies before its own word${comesBack ? ', also when it comes back' : ''}`,
      async (world) => {
        const leaver = aSpare(world);
        let isDead = false;
        world.expectMember(leaver.name, false);
        const { peerId } = leaver;
        world.onObserved(({ type }) => {
          const isAgreed = type === 'applied' && agreedMembers(world.members)?.has(peerId) === false;
          if (isAgreed && !isDead) world.scheduler.after(0, () => leaver.crash(), 'dies as it leaves');
          isDead ||= isAgreed;
        });
        await world.settled(leave(world, leaver).catch(() => undefined));
        assert.ok(isDead);
        if (comesBack) leaver.start();
        assert.ok(world.leaversKnown().length > 0, 'who hears of nothing that is agreed still knows it');
        await until(world, 'nobody knows it', () => world.leaversKnown().length === 0);
        if (comesBack) await world.advance(30_000);
        assert.deepEqual(world.leaversKnown(), []);
        await world.settle();
      },
      { nodeCount: 9, memberCount: 8 },
    );
  }
});

async function until(world: StoryWorld, what: string, isTrue: () => boolean): Promise<void> {
  await world.until(isTrue, { limitMs: WAIT_MS, what });
}

/** One that has no part in the group. */
function aSpare(world: StoryWorld): SimNode {
  const { voters, standbys } = world.leader().daemon.node.group.status();
  const spare = world.members.find(({ peerId }) => ![...voters, ...standbys].includes(peerId));
  assert.ok(spare !== undefined);
  return spare;
}

async function leave(world: StoryWorld, node: SimNode): Promise<void> {
  world.expectMember(node.name, false);
  await node.call('mesh.leave', { timeoutMs: WAIT_MS });
  world.noteLeaver(node.name);
}

/** There is somebody who agrees, and somebody who keeps the root key. */
async function worksOn(world: StoryWorld): Promise<void> {
  const [member] = world.members as [SimNode];
  await world.call(member.name, 'kv.put', { key: 'k', value: 'goes on' });
  const { ticket } = await world.call(member.name, 'mesh.ticket', { uses: 1 });
  assert.ok(ticket.length > 0);
  assert.deepEqual(world.leaversKnown(), []);
  world.observeCustody();
}

function otherVoters(world: StoryWorld, leader: SimNode): [SimNode, SimNode] {
  const { voters } = leader.daemon.node.group.status();
  const [one, two] = world.nodes.filter((node) => node !== leader && voters.includes(node.peerId));
  assert.ok(one !== undefined && two !== undefined);
  return [one, two];
}
