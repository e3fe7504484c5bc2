import assert from 'node:assert/strict';
import { type Agent, Cluster, type Job, leaderAndFollowers, until } from './harness/index.ts';
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

  it('a job for all nodes at once fails as one when a member does, and runs again on all of them', async () => {
    const script = [
      'echo "$ASPEN_GROUP_RANK of $ASPEN_GROUP_SIZE, peers $ASPEN_GROUP_PEERS"',
      'test "$ASPEN_ATTEMPT" = 2 && exit 0',
      'test "$ASPEN_GROUP_RANK" = 1 && exit 3',
      'sleep 600',
    ].join('; ');
    const ran = await a.cli(['run', '--nodes', '3', '--retry', '2', '--', 'sh', '-c', script]);
    assert.equal(ran.code, 0, ran.stderr);
    const { history } = await a.cliJson<Job>(['job', 'get', 'last']);
    const [first, second] = history as unknown as {
      outcome: string;
      nodes: string[];
      error: { message: string };
    }[];
    assert.deepEqual([first?.outcome, second?.outcome], ['failed', 'succeeded']);
    assert.match(String(first?.error.message), /^member 1 of 3, on 12D3/);
    assert.equal(new Set(first?.nodes).size, 3);
    assert.ok(ran.stdout.endsWith(`0 of 3, peers ${second?.nodes.join(',')}\n`), ran.stdout);
    const tooMany = (await a.submit({ type: 'echo', group: { nodes: 4 } })).id;
    const { waitingFor } = await a.cliJson<Explained>(['job', 'explain', tooMany]);
    assert.match(String(waitingFor), /^4 nodes at once: 3 of 3 fit now/);
    await a.cli(['job', 'cancel', tooMany]);
  });

  it('binds by every flag of the command line', async () => {
    await a.cliJson(['node', 'label', '--node', b.peerId, 'disk=ssd', 'tier=3']);
    const ranOn = async (...flags: string[]) => {
      const { id } = await a.cliJson<{ id: string }>(['job', 'submit', 'echo', '1', ...flags]);
      return (await a.waitForJob(id)).node;
    };
    const others = (node: string | null) => assert.ok(node !== null && node !== b.peerId, String(node));
    for (let round = 0; round < 2; round += 1) {
      assert.equal(await ranOn('--require', 'disk=ssd', '--require', 'tier>=2'), b.peerId);
      assert.equal(await ranOn('--node', b.peerId), b.peerId);
      assert.equal(await ranOn('--prefer-node', b.peerId), b.peerId);
      assert.equal(await ranOn('--prefer', 'disk=ssd'), b.peerId);
      assert.equal(await ranOn('--near', b.peerId), b.peerId);
      others(await ranOn('--avoid', 'disk=ssd'));
      others(await ranOn('--avoid', `node=${b.peerId}`));
      others(await ranOn('--require', 'tier!=3'));
    }
    const keyed = await ranOn('--key', 'k');
    for (let round = 0; round < 3; round += 1) assert.equal(await ranOn('--key', 'k'), keyed);
    const turns = new Set<string | null>();
    for (let turn = 0; turn < 3; turn += 1) turns.add(await ranOn('--strategy', 'round-robin'));
    assert.equal(turns.size, 3);
  });

  it('knows what the machines are', async () => {
    const job = await a.waitForJob(
      await echo({ require: { 'aspen/os': 'linux', cpus: '>=1', 'aspen/memoryGiB': '>0' } }),
    );
    assert.equal(job.state, 'succeeded');
  });
});
