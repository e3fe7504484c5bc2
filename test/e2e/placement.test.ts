import assert from 'node:assert/strict';
import { type Agent, Cluster, leaderAndFollowers, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Explained {
  readonly waitingFor: string | null;
  readonly nodes: readonly {
    readonly peerId: string;
    readonly fits: boolean;
    readonly reasons: readonly string[];
  }[];
}

describe('placement over real agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let a: Agent;
  let b: Agent;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    a = leader;
    b = followers[0] as Agent;
  });
  after(() => cluster[Symbol.asyncDispose]());

  const echo = async (affinity: object): Promise<string> =>
    (await a.submit({ type: 'echo', payload: 1, affinity })).id;

  it('gives a drained node nothing, also after its restart, until it is undrained', async () => {
    const drained = await a.cliJson<{ isDraining: boolean }>(['node', 'drain', b.peerId]);
    assert.equal(drained.isDraining, true);
    const id = await echo({ node: { peerId: b.peerId, mode: 'require' } });
    const explain = () => a.cliJson<Explained>(['job', 'explain', id]);
    await until(async () => /draining/.test((await explain()).waitingFor ?? ''), {
      what: 'the drain to be told',
    });
    for (let at = 0; at < 4; at += 1) {
      const job = await a.waitForJob(await echo({}));
      assert.notEqual(job.node, b.peerId);
    }
    await b.stop();
    await b.up();
    const reasonsOfB = async () => (await explain()).nodes.find(({ peerId }) => peerId === b.peerId)?.reasons;
    await until(async () => (await reasonsOfB())?.join() === 'is draining and takes no new jobs', {
      what: 'it to be back and still drained',
    });
    await a.cliJson(['node', 'undrain', b.peerId]);
    const job = await a.waitForJob(id);
    assert.deepEqual([job.state, job.node], ['succeeded', b.peerId]);
  });

  it('keeps a job for its node while that is off, and starts it when it comes back', async () => {
    await b.stop();
    const id = await echo({ node: { peerId: b.peerId, mode: 'require' } });
    const { waitingFor, nodes } = await a.cliJson<Explained>(['job', 'explain', id]);
    assert.match(waitingFor ?? '', new RegExp(`its node ${b.peerId}`));
    assert.equal(nodes.length, 3);
    await b.up();
    const job = await a.waitForJob(id);
    assert.deepEqual([job.state, job.node], ['succeeded', b.peerId]);
  });

  it('ends with 9 where the required node is no member', async () => {
    const stranger = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5';
    const ran = await a.cli(['run', '--node', stranger, '--', 'true']);
    assert.equal(ran.code, 9, ran.stderr);
    assert.match(ran.stderr, /is no member of this mesh/);
  });

  it('knows what the machines are', async () => {
    const job = await a.waitForJob(
      await echo({ require: { 'aspen/os': 'linux', cpus: '>=1', 'aspen/memoryGiB': '>0' } }),
    );
    assert.equal(job.state, 'succeeded');
  });
});
