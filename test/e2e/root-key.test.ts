import assert from 'node:assert/strict';
import { type Agent, Cluster, leaderAndFollowers, type Ticket, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const DENIED = 7;

interface RootStatus {
  readonly root: { readonly number: number; readonly hasList: boolean };
}

describe('revoking a voter', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const hasNewKey = async (agent: Agent) => {
    const { root } = await agent.call<RootStatus>('agent.status');
    return root.number === 1 && root.hasList;
  };

  it('replaces the root key for all who stay, also for one that was off; tickets of before end, new ones admit', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c', 'd']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const { group } = await leader.status();
    const thief = followers.find(({ peerId }) => group.voters.includes(peerId)) as Agent;
    const off = followers.find(({ peerId }) => !group.voters.includes(peerId)) as Agent;
    const before = await leader.cliJson<Ticket>(['ticket', 'create', '--uses', '5']);
    await off.kill9();

    const revoked = await leader.cli(['node', 'revoke', thief.peerId, '--reason', 'stolen']);
    assert.equal(revoked.code, 0, revoked.stderr);
    assert.match(revoked.stdout, /the root key of the mesh has number 1/);
    const staying = agents.filter((agent) => agent !== thief && agent !== off);
    for (const agent of staying)
      await until(() => hasNewKey(agent), { what: `${agent.name} has the new key` });
    const shown = await leader.cli(['status']);
    assert.match(shown.stdout, /root key\s+number 1 since/);

    const refused = cluster.add('e');
    const ran = await refused.cli(['join', before.ticket, '--foreground'], {
      env: { ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0', ASPEN_MDNS: 'off' },
    });
    assert.equal(ran.code, DENIED, ran.stderr);
    assert.match(ran.stderr, /before the mesh replaced its root key/);

    const late = cluster.add('f');
    await late.join((await leader.cliJson<Ticket>(['ticket', 'create'])).ticket);
    await until(() => hasNewKey(late), { what: 'the newcomer has the new key' });

    await off.up();
    await until(() => hasNewKey(off), { what: 'who was off has the new key' });
    await off.call('kv.put', { key: 'back', value: 'yes' });
    const entry = await late.call<{ value: string } | null>('kv.get', { key: 'back' });
    assert.equal(entry?.value, 'yes');
  });
});
