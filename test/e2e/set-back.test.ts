import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, agreement, Cluster, leaderAndFollowers, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Report {
  readonly members: readonly { readonly peerId: string; readonly reason: string }[];
}

const STORE_FILES = ['store', 'store-lock', 'store-journal-0', 'store-journal-1'];

describe('a disk that was set back', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  beforeEach(() => {
    cluster = new Cluster();
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  /** Three agents, one of them stopped with its directory kept as it is then, and writes that it acknowledged later. */
  async function withOldCopy() {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim, other] = followers as [Agent, Agent];
    const old = join(cluster.directory, 'old');
    await victim.stop();
    cpSync(victim.dataDir, old, { recursive: true });
    await victim.up();
    await agreement(agents);
    for (let count = 0; count < 20; count += 1) await leader.call('kv.put', { key: `k${count}`, value: 'v' });
    await until(
      async () => (await victim.status()).group.commitIndex === (await leader.status()).group.commitIndex,
      {
        what: 'the victim to have them',
      },
    );
    await victim.kill9();
    return { agents, leader, victim, other, old };
  }

  async function comesBackAsLearner(victim: Agent, leader: Agent, agents: readonly Agent[]): Promise<void> {
    await until(() => existsSync(join(victim.dataDir, 'quarantine')), { what: 'the store to be set aside' });
    const [name] = readdirSync(join(victim.dataDir, 'quarantine'));
    const reason = readFileSync(join(victim.dataDir, 'quarantine', String(name), 'reason.txt'), 'utf8');
    assert.match(reason, /older copy was put back/);
    await until(() => !existsSync(join(victim.dataDir, 'disk-loss')), {
      what: 'it to be taken in again',
      timeoutMs: 60_000,
    });
    await agreement(agents);
    const value = await victim.call<{ value: string } | null>('kv.get', { key: 'k19' });
    assert.equal(value?.value, 'v');
    assert.ok((await leader.status()).group.hasQuorum);
  }

  it('by its store alone is noticed at its own start', async () => {
    const { agents, leader, victim, old } = await withOldCopy();
    for (const name of STORE_FILES) {
      rmSync(join(victim.dataDir, name), { force: true });
      if (existsSync(join(old, name))) cpSync(join(old, name), join(victim.dataDir, name));
    }
    await victim.up();
    await comesBackAsLearner(victim, leader, agents);
  });

  it('with everything beside it is noticed by the others', async () => {
    const { agents, leader, victim, old } = await withOldCopy();
    for (const name of readdirSync(victim.dataDir))
      rmSync(join(victim.dataDir, name), { recursive: true, force: true });
    for (const name of readdirSync(old)) {
      if (name !== 'agent.sock') cpSync(join(old, name), join(victim.dataDir, name), { recursive: true });
    }
    await victim.up();
    const told = await until(
      async () => {
        const report = await leader.call<Report>('group.status', {});
        return report.members.find(({ reason }) => /older copy/.test(reason));
      },
      { what: 'the group to name it', everyMs: 20 },
    );
    assert.equal(told.peerId, victim.peerId);
    await comesBackAsLearner(victim, leader, agents);
  });
});
