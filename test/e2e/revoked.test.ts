import assert from 'node:assert/strict';
import { type Agent, Cluster, type Ticket, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const DENIED = 7;

interface Told {
  readonly revoked: { readonly atMs: number | null; readonly mend: string } | null;
}

describe('a node that was revoked', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const isTold = async (agent: Agent) => (await agent.call<Told>('agent.status')).revoked !== null;

  /** Ways in which it hears of it, and is asked about it. */
  async function saysSo(agent: Agent, ticket: string): Promise<void> {
    await until(() => isTold(agent), { what: `${agent.name} knows that it was revoked`, timeoutMs: 15_000 });
    const status = await agent.cli(['status']);
    // Who hears of the next root key before the revocation itself knows that it is out, not since when.
    assert.match(
      status.stdout,
      /REVOKED(?: \d{4}-.+)?: .+\n.*way out .*empty data directory with a new ticket/,
    );
    const doctor = await agent.cli(['doctor']);
    assert.match(doctor.stdout, /mesh\.membership .*this node was revoked/);
    const joined = await agent.cli(['join', ticket]);
    assert.equal(joined.code, DENIED, joined.stderr);
    assert.match(joined.stderr, /was revoked from mesh .+ empty data directory with a new ticket/);
  }

  it('while it was off, or under way, is told so when it knocks: status, doctor and join say it, with the way out', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c', 'd']);
    const { group } = await (agents[0] as Agent).status();
    const voters = agents.filter(({ peerId }) => group.voters.includes(peerId));
    const spare = agents.find(({ peerId }) => !group.voters.includes(peerId)) as Agent;
    const [sound, live] = voters.filter(({ peerId }) => peerId !== group.leader) as [Agent, Agent];
    await spare.kill9();
    for (const gone of [spare, live]) {
      const revoked = await sound.cli(['node', 'revoke', gone.peerId]);
      assert.equal(revoked.code, 0, revoked.stderr);
    }
    const { ticket } = await sound.cliJson<Ticket>(['ticket', 'create', '--uses', '5']);
    await saysSo(live, ticket);

    await spare.up();
    await saysSo(spare, ticket);
    await spare.kill9();
    const again = await spare.cli(['join', ticket, '--foreground'], {
      env: { ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0', ASPEN_MDNS: 'off' },
    });
    assert.equal(again.code, DENIED, again.stderr);
    assert.match(again.stderr, /was revoked from mesh/);
  });
});
