import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Agent, agreement, Cluster, leaderAndFollowers } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** Several election timeouts. Unit: ms. */
const LONG_ENOUGH_TO_ELECT_MS = 8_000;

describe('a voter whose store was wiped', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('does not help to elect a leader that lacks an acknowledged write', async () => {
    const agents = await cluster.mesh(['x', 'y', 'z']);
    const { leader: x, followers } = await leaderAndFollowers(agents);
    const [y, z] = followers as [Agent, Agent];
    await y.kill9();
    await x.call('kv.put', { key: 'only-on-x-and-z', value: 'kept' });
    await z.kill9();
    await x.kill9();
    for (const name of ['store', 'store-lock']) rmSync(join(z.dataDir, name), { force: true });

    await Promise.all([y.up(), z.up()]);
    for (let spentMs = 0; spentMs < LONG_ENOUGH_TO_ELECT_MS; spentMs += 250) {
      for (const agent of [y, z])
        assert.equal((await agent.status()).group.leader, null, `${agent.name} knows a leader`);
      await wait(250);
    }
    await assert.rejects(y.call('kv.put', { key: 'other', value: 'v' }, 20_000));

    await x.up();
    await agreement(agents, 'three voters again');
    for (const agent of agents) {
      const entry = await agent.call<{ value: string } | null>('kv.get', { key: 'only-on-x-and-z' });
      assert.equal(entry?.value, 'kept', `at ${agent.name}`);
    }
  });
});
