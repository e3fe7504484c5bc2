import assert from 'node:assert/strict';
import { type Agent, agreement, Cluster, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Report {
  readonly epoch: number;
  readonly leader: string | null;
  readonly members: readonly { readonly peerId: string; readonly role: string }[];
}
interface Recovery {
  readonly isDone: boolean;
  readonly on: string;
  readonly missing: readonly string[];
}

describe('two of three machines lost', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('the third goes on in a new epoch, and the lost ones come back as learners', async () => {
    const [survivor, ...lost] = agents as [Agent, Agent, Agent];
    await survivor.call('kv.put', { key: 'before', value: '1' });
    for (const agent of lost) await agent.kill9();
    const plan = await until(
      () => survivor.call<Recovery>('group.recover', { dryRun: true }).catch(() => false as const),
      { what: 'the leader to be given up' },
    );
    assert.equal(plan.on, survivor.peerId);
    assert.equal(plan.missing.length, 2);
    await survivor.call<Recovery>('group.recover', {});
    await survivor.call('kv.put', { key: 'after', value: '2' });
    for (const agent of lost) await agent.up();
    await agreement(agents);
    const report = await until(
      async () => {
        const told = await survivor.call<Report>('group.status', {});
        return told.members.filter(({ role }) => role === 'voter').length === 3 && told;
      },
      { what: 'three voters again' },
    );
    assert.equal(report.epoch, 2);
    for (const agent of agents) {
      const { value } = await agent.call<{ value: string }>('kv.get', { key: 'after' });
      assert.equal(value, '2');
    }
  });
});
