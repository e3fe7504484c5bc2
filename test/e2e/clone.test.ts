import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { type Agent, agreement, Cluster, leaderAndFollowers, until, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Connectivity {
  readonly connectivity: { readonly problems: readonly string[] };
}

describe('a copied data directory', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('that is started beside the original is refused by name, and the original is not disturbed', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [original] = followers as [Agent, Agent];
    await original.stop();
    const copy = cluster.add('copy');
    cpSync(original.dataDir, copy.dataDir, {
      recursive: true,
      filter: (path) => !path.endsWith('agent.sock'),
    });
    await original.up();
    const before = await agreement(agents);
    const term = before[0]?.group.term;
    const writer = new Writer(leader, 'clone/');
    try {
      await copy.up();
      assert.equal(copy.peerId, original.peerId);
      const told = await until(
        async () => {
          const { connectivity } = await copy.call<Connectivity>('agent.status', {});
          return connectivity.problems.find((problem) => problem.includes('already runs elsewhere'));
        },
        { what: 'the copy to be told' },
      );
      assert.ok(told.includes(copy.peerId));
      assert.match(told, /Stop one of the two/);
      await until(
        async () => {
          const { connectivity } = await leader.call<Connectivity>('agent.status', {});
          return connectivity.problems.some((problem) => problem.includes(`${copy.peerId} runs twice`));
        },
        { what: 'the leader to tell of it' },
      );
      const shown = await copy.cli(['status']);
      assert.match(shown.stdout, /already runs elsewhere/);
      await writer.more(200);
      assert.equal((await copy.status()).group.leader, null, 'it has no part in the group');
    } finally {
      await writer.stop();
    }
    const after = await agreement(agents);
    assert.equal(after[0]?.group.term, term, 'nobody had to be elected');
    assert.deepEqual(await writer.missingAt(original), []);

    await original.kill9();
    const { peerId } = copy;
    const moved = [...agents.filter((agent) => agent !== original), copy];
    await agreement(moved, 'the copy to be taken for the original that is gone');
    assert.equal(copy.peerId, peerId);
    assert.deepEqual(await writer.missingAt(copy), []);
  });
});
