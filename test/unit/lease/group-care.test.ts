import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import { type Node, World } from './world.ts';

describe('the care of the group', () => {
  let world: World;
  let nodes: Node[];

  beforeEach(async () => {
    world = new World({ roles: { graceMs: 3_000, improveAfterMs: 5_000 } });
    nodes = [await world.addNode(), await world.addNode(), await world.addNode()];
    await world.found(nodes[0] as Node);
    for (const node of nodes.slice(1)) await world.admit(node);
    await world.untilTrue('three voters', () => world.leader().group.status().voters.length === 3);
  });
  afterEach(() => world.stop());

  const follower = () => nodes.find((node) => node !== world.leader()) as Node;

  it('tells each member with role, reason and progress, from any node', async () => {
    const leader = world.leader();
    const report = await world.clock.until(follower().group.report());
    assert.equal(report.leader, leader.peerId);
    assert.equal(report.epoch, 1);
    assert.deepEqual(
      report.members.map(({ role }) => role),
      ['voter', 'voter', 'voter'],
    );
    assert.equal(report.diskCount, 3);
    assert.deepEqual(
      report.health.map(({ level }) => level),
      ['ok'],
    );
  });

  it('names a voter that is away, and what to do', async () => {
    const gone = follower();
    await world.kill(gone);
    nodes = nodes.filter((node) => node !== gone);
    await world.untilTrue('one is away', () => world.leader().messenger.connected().length === 1);
    const { health } = await world.clock.until(world.leader().group.report());
    assert.match(health[0]?.text ?? '', new RegExp(gone.peerId));
    assert.match(health[0]?.mend ?? '', /node revoke/);
    world.nodes.splice(world.nodes.indexOf(gone), 1);
  });

  it('hands the leadership to whom a follower names', async () => {
    const [first, target] = [world.leader(), follower()];
    const { leader } = await world.clock.until(target.group.transfer({ to: target.peerId }));
    assert.equal(leader, target.peerId);
    assert.equal(first.group.leadership, undefined);
  });

  it('refuses to hand it to a node without a vote', async () => {
    const spare = await world.addNode();
    await world.admit(spare, 'worker');
    await assert.rejects(world.clock.until(follower().group.transfer({ to: spare.peerId })), {
      code: 'CONFLICT',
    });
  });

  it('revokes the leader itself: another voter takes over first', async () => {
    const [victim, asker] = [world.leader(), follower()];
    const revoked = await world.clock.until(
      asker.group.client.askLeader<{ peerId: PeerId; revoked: boolean }>('members/revoke', {
        peerId: victim.peerId,
      }),
    );
    const root = { number: 1, isDue: false }; // it held the first one
    assert.deepEqual(revoked, { peerId: victim.peerId, revoked: true, root });
    await world.untilTrue(
      'it has no vote',
      () => !asker.group.status().voters.includes(victim.peerId) && asker.group.status().leader !== null,
    );
  });

  it('replaces a dead voter by a standby after the grace period', async () => {
    const standby = await world.addNode();
    await world.admit(standby);
    await world.untilTrue('it stands by', () => standby.group.status().role === 'standby');
    const gone = follower();
    await world.kill(gone);
    world.nodes.splice(world.nodes.indexOf(gone), 1);
    await world.untilTrue('it votes', () => standby.group.status().role === 'voter', 20_000);
    assert.equal(standby.group.status().voters.includes(gone.peerId), false);
  });
});
