import assert from 'node:assert/strict';
import { type Agent, type AgentStatus, agreement, Cluster, Lan, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

describe('a mesh over a LAN of three machines, with another mesh on the same LAN', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let agents: Agent[];
  let neighbour: Agent;
  reportFailures(() => cluster);

  before(async () => {
    lan = new Lan(4);
    cluster = new Cluster();
    neighbour = cluster.add('d', { netns: lan.machines[3] as string });
    await neighbour.up();
    agents = await cluster.mesh(['a', 'b', 'c'], { netns: lan.machines.slice(0, 3) });
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  it('agrees on three voters with nothing given but the ticket', async () => {
    const statuses = await agreement(agents);
    assert.deepEqual(
      [...(statuses[0]?.group.voters ?? [])].sort(),
      agents.map(({ peerId }) => peerId).sort(),
    );
  });

  it('runs a job on the machine that was asked for, streamed to another', async () => {
    const [a, , c] = agents as [Agent, Agent, Agent];
    const ran = await a.cli(['run', '--node', c.peerId, '--', 'sh', '-c', 'echo $ASPEN_NODE; exit 4']);
    assert.deepEqual([ran.code, ran.stdout.trim()], [4, c.peerId], ran.stderr);
  });

  it('a restarted agent comes back without the ticket', async () => {
    const [, b] = agents as [Agent, Agent, Agent];
    const before = await b.status();
    await b.kill9();
    await b.up();
    const after = await b.status();
    assert.deepEqual([after.peerId, after.meshId], [before.peerId, before.meshId]);
    await agreement(agents);
  });

  it('a restarted agent comes back when the others have other addresses but one', async () => {
    const [a, b, c] = agents as [Agent, Agent, Agent];
    await c.stop();
    await b.stop();
    lan.renumber(b.netns as string, 22);
    await b.up();
    await agreementOf(a, b);
    await c.up();
    await agreement(agents);
    await reaches(c, b);
  });

  it('finds itself again by multicast when every address has changed', async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    for (const [index, agent] of agents.entries()) lan.renumber(agent.netns as string, 31 + index);
    await Promise.all(agents.map((agent) => agent.up()));
    await agreement(agents, 'all to agree after every address has changed');
  });

  it('two meshes on one LAN never mix', async () => {
    const [a] = agents as [Agent, Agent, Agent];
    const alone = await neighbour.status();
    assert.notEqual(alone.meshId, (await a.status()).meshId);
    assert.deepEqual(alone.group.voters, [neighbour.peerId]);
    const peersOf = async (agent: Agent) => JSON.stringify(await agent.call('mesh.peers'));
    for (const agent of agents) {
      assert.ok(!(await peersOf(agent)).includes(neighbour.peerId), `${agent.name} knows the neighbour`);
      assert.ok(!(await peersOf(neighbour)).includes(agent.peerId), `the neighbour knows ${agent.name}`);
    }
  });
});

/** Two of three are a majority: they agree while the third is away. */
async function agreementOf(...agents: Agent[]): Promise<AgentStatus[]> {
  return await until(
    async () => {
      const statuses = await Promise.all(agents.map((agent) => agent.status()));
      const leaders = new Set(statuses.map(({ group }) => group.leader));
      return (
        leaders.size === 1 && !leaders.has(null) && statuses.every(({ group }) => group.hasQuorum) && statuses
      );
    },
    { what: 'the majority to agree' },
  );
}

async function reaches(from: Agent, to: Agent): Promise<void> {
  await until(async () => JSON.stringify(await from.call('mesh.peers')).includes(to.peerId), {
    what: `${from.name} to know ${to.name}`,
  });
}
