import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { type Agent, Cluster, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Disks {
  readonly group: { readonly role: string; readonly disks: number | null };
}

describe('two agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('when the voter burns with its disk, the standby goes on with every acknowledged write', async () => {
    const [voter, standby] = (await cluster.mesh(['a', 'b'])) as [Agent, Agent];
    const disksAt = async (agent: Agent) => (await agent.call<Disks>('agent.status', {})).group;
    await until(
      async () => (await disksAt(standby)).role === 'standby' && (await disksAt(standby)).disks === 2,
      {
        what: 'two disks to hold what is agreed',
      },
    );
    assert.match((await standby.cli(['status'])).stdout, /disks +2 hold what is agreed/);
    const count = 200;
    for (let number = 0; number < count; number += 1)
      await voter.call('kv.put', { key: `k${number}`, value: 'v' });
    await voter.kill9();
    rmSync(voter.dataDir, { recursive: true, force: true });
    await until(() => standby.call('group.recover', { dryRun: true }).catch(() => false as const), {
      what: 'the leader to be given up',
    });
    await standby.call('group.recover', {});
    for (let number = 0; number < count; number += 1) {
      const entry = await standby.call<{ value: string } | null>('kv.get', { key: `k${number}` });
      assert.equal(entry?.value, 'v', `k${number}`);
    }
    assert.equal((await disksAt(standby)).disks, 1);
  });
});
