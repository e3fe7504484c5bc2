import assert from 'node:assert/strict';
import { type Agent, Cluster, type Job, leaderAndFollowers, until, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Member {
  readonly peerId: string;
  readonly role: 'voter' | 'standby' | 'spare';
}
interface Report {
  readonly members: readonly Member[];
}

const votersAt = async (agent: Agent): Promise<string[]> => {
  const { members } = await agent.call<Report>('group.status', {});
  return members.filter(({ role }) => role === 'voter').map(({ peerId }) => peerId);
};

describe('four agents, three of them voters', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  beforeEach(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c', 'd'], { env: { ASPEN_VOTER_GRACE: '3s' } });
    await until(
      async () =>
        (await agents[0]?.call<Report>('group.status', {}))?.members.some(({ role }) => role === 'standby'),
      { what: 'the fourth to stand by' },
    );
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  it('a voter that is killed gives its place to the fourth after the grace period, and the leadership is handed on when asked', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const before = await votersAt(leader);
    const dead = followers.find(({ peerId }) => before.includes(peerId)) as Agent;
    const fourth = agents.find(({ peerId }) => !before.includes(peerId)) as Agent;
    const living = agents.filter((agent) => agent !== dead);
    const writer = new Writer(fourth, 'grace/');
    try {
      await writer.more(20);
      await dead.kill9();
      const after = await until(
        async () => {
          const now = await votersAt(leader);
          return now.includes(fourth.peerId) && !now.includes(dead.peerId) && now;
        },
        { what: 'the fourth to vote' },
      );
      assert.equal(after.length, 3);
      const moved = await fourth.call<{ from: string; leader: string }>('group.transfer', {
        to: fourth.peerId,
      });
      assert.deepEqual(moved, { from: leader.peerId, leader: fourth.peerId });
      await writer.more(20);
      await dead.up();
      await until(
        async () =>
          (await dead.status()).group.role !== 'voter' &&
          (await dead.status()).group.leader === fourth.peerId,
        {
          what: 'the dead one to come back without a vote',
        },
      );
    } finally {
      await writer.stop();
    }
    for (const agent of living) assert.deepEqual(await writer.missingAt(agent), []);
  });

  it('a leader that leaves hands over leadership and vote first: writes go on and none is lost', async () => {
    const { leader } = await leaderAndFollowers(agents);
    const others = agents.filter((agent) => agent !== leader);
    const [through] = others as [Agent];
    const writer = new Writer(through, 'leave/');
    let longestGapMs = 0;
    let lastAtMs = performance.now();
    let seen = 0;
    const watch = setInterval(() => {
      const nowMs = performance.now();
      if (writer.acknowledged.length > seen) lastAtMs = nowMs;
      else longestGapMs = Math.max(longestGapMs, nowMs - lastAtMs);
      seen = writer.acknowledged.length;
    }, 20);
    try {
      await writer.more(50);
      const ran = await leader.cli(['leave']);
      assert.equal(ran.code, 0, ran.stderr);
      await writer.more(50);
    } finally {
      clearInterval(watch);
      await writer.stop();
    }
    process.stdout.write(`      longest gap between acknowledgments: ${Math.round(longestGapMs)} ms\n`);
    await until(
      async () => {
        const now = await votersAt(through);
        return now.length === 3 && !now.includes(leader.peerId);
      },
      { what: 'three voters among those who stay' },
    );
    for (const agent of others) assert.deepEqual(await writer.missingAt(agent), []);
    assert.deepEqual(writer.refused, []);
  });
});

describe('two agents, the first of which votes alone', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);

  beforeEach(() => {
    cluster = new Cluster();
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  it('the first can leave: the other one votes, leads, and invites in its place', async () => {
    const [founder, other] = (await cluster.mesh(['a', 'b'])) as [Agent, Agent];
    await founder.call('kv.put', { key: 'k', value: 'kept' });
    await until(
      async () =>
        (await founder.call<Report>('group.status', {})).members.some(({ role }) => role === 'standby'),
      { what: 'the second to stand by' },
    );
    const ran = await founder.cli(['leave']);
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(await votersAt(other), [other.peerId]);
    const { value } = await other.call<{ readonly value: string }>('kv.get', { key: 'k' });
    assert.equal(value, 'kept');
    const { ticket } = await other.call<{ readonly ticket: string }>('mesh.ticket', { uses: 1 });
    assert.ok(ticket.length > 0);
  });

  it('the first is not let go while the other is off, and works on', async () => {
    const [founder, other] = (await cluster.mesh(['a', 'b'])) as [Agent, Agent];
    await other.stop();
    await until(
      async () => {
        const { code, stderr } = await founder.cli(['leave']);
        if (code === 4) assert.match(stderr, new RegExp(`start the agent of ${other.peerId}`));
        return code === 4;
      },
      { what: 'the first to be told why it cannot leave' },
    );
    const { id } = await founder.submit({ type: 'echo', payload: 1 });
    assert.equal((await founder.call<Job>('job.wait', { id, timeoutMs: 30_000 })).state, 'succeeded');
  });
});
