import assert from 'node:assert/strict';
import {
  type Agent,
  AttachedProgram,
  Cluster,
  type Job,
  leaderAndFollowers,
  type Submitted,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const IN_FLIGHT = 100;

describe('workers that attach to agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const submit = async (at: Agent, spec: object): Promise<string> =>
    (await at.call<Submitted>('job.submit', spec)).id;
  const submitMany = async (at: Agent, count: number, spec: object): Promise<string[]> => {
    const { results } = await at.call<{ results: Submitted[] }>('job.submitMany', {
      jobs: Array.from({ length: count }, () => spec),
    });
    return results.map(({ id }) => id);
  };
  const final = (at: Agent, id: string): Promise<Job> => at.call<Job>('job.wait', { id, timeoutMs: 60_000 });

  it('a job submitted at one agent runs in a worker at another; without one it waits, and says so', async () => {
    const [a, , c] = agents as [Agent, Agent, Agent];
    const id = await submit(a, { type: 'e2e.echo', payload: { n: 1 } });
    const explained = await a.call<{ state: string; nodes: { reasons: string[] }[] }>('job.explain', { id });
    assert.equal(explained.state, 'queued');
    assert.match(String(explained.nodes[0]?.reasons), /runs no jobs of type e2e\.echo/);
    await using _ = await AttachedProgram.start(c, 5, 'gpu=a100');
    const job = await final(a, id);
    assert.deepEqual([job.state, job.result, job.node], ['succeeded', { n: 1 }, c.peerId]);
    const labelled = { type: 'e2e.echo', payload: 2, affinity: { require: { gpu: 'a100' } } };
    assert.equal((await final(a, await submit(a, labelled))).state, 'succeeded');
    await until(
      async () => {
        const { nodes } = await a.call<{ nodes: { peerId: string; runs: string[] }[] }>('node.list');
        return nodes.find(({ peerId }) => peerId === c.peerId)?.runs.includes('e2e.echo');
      },
      { what: 'node.list to show what the worker runs' },
    );
  });

  it('a cancel reaches the handler, which proves that the attempt is over', async () => {
    const [a, b] = agents as [Agent, Agent];
    await using worker = await AttachedProgram.start(b, 5);
    const id = await submit(a, { type: 'e2e.wait', payload: { ms: 600_000 } });
    await worker.happened('begun');
    await a.call('job.cancel', { id });
    assert.equal((await final(a, id)).state, 'cancelled');
    assert.deepEqual(worker.events.find(({ event }) => event === 'stopped')?.reason, 'cancelled');
  });

  it('the jobs of a killed worker process complete in another, and are not failures', async () => {
    const [a, b, c] = agents as [Agent, Agent, Agent];
    await using victim = await AttachedProgram.start(b, IN_FLIGHT);
    const ids = await submitMany(a, IN_FLIGHT, {
      type: 'e2e.wait',
      payload: { ms: 1_000 },
      retry: { maxAttempts: 1 },
    });
    await victim.happened('begun', IN_FLIGHT);
    await using heir = await AttachedProgram.start(c, IN_FLIGHT);
    await victim.kill9();
    const jobs = await Promise.all(ids.map((id) => final(a, id)));
    for (const { state, node, history } of jobs) {
      assert.deepEqual([state, node], ['succeeded', c.peerId]);
      assert.equal(history[0]?.['outcome'], 'lost');
    }
    assert.equal(heir.count('begun'), IN_FLIGHT);
  });

  it('a handler that blocks its event loop for longer than the heartbeat timeout keeps its claim', async () => {
    const [a, b] = agents as [Agent, Agent];
    await using worker = await AttachedProgram.start(b, 1);
    const spec = { type: 'e2e.block', payload: { ms: 5_000 }, heartbeatTimeoutMs: 1_000 };
    const job = await final(a, await submit(a, spec));
    assert.deepEqual([job.state, job.attempt, job.result], ['succeeded', 1, { attempt: 1 }]);
    assert.equal(worker.count('begun'), 1);
  });

  it('one that sends no heartbeats is fenced, runs elsewhere, and what it answers late is refused', async () => {
    const [a, b, c] = agents as [Agent, Agent, Agent];
    await using blocked = await AttachedProgram.start(b, 1, 'heartbeats=manual');
    const id = await submit(a, {
      type: 'e2e.block',
      payload: { ms: 9_000 },
      heartbeatTimeoutMs: 1_000,
      retry: { maxAttempts: 2, backoff: 'none' },
    });
    await blocked.happened('begun');
    await using heir = await AttachedProgram.start(c, 1);
    await heir.happened('begun');
    await blocked.happened('settled');
    const settled = blocked.events.find(({ event }) => event === 'settled');
    assert.deepEqual([settled?.jobId, settled?.attempt, settled?.accepted], [id, 1, false]);
    const job = await final(a, id);
    assert.deepEqual(
      [job.state, job.attempt, job.result, job.node],
      ['succeeded', 2, { attempt: 2 }, c.peerId],
    );
    const [first] = job.history as unknown as { outcome: string; error: { code: string } }[];
    assert.deepEqual([first?.outcome, first?.error.code], ['failed', 'HEARTBEAT_TIMEOUT']);
  });

  it('a worker attaches again after its agent was killed, and works on', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const victim = followers[0] as Agent;
    await using worker = await AttachedProgram.start(victim, 1);
    const id = await submit(leader, { type: 'e2e.wait', payload: { ms: 2_000 } });
    await worker.happened('begun');
    await victim.kill9();
    await worker.happened('stopped');
    await victim.up();
    await worker.happened('attached', 2);
    assert.equal((await final(leader, id)).state, 'succeeded');
    assert.equal(await worker.close(), 0);
  });

  it('an agent that stands still past the hold has lost its attempts: they run elsewhere, its worker is told', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [frozen, other] = followers as [Agent, Agent];
    await using worker = await AttachedProgram.start(frozen, 1);
    const id = await submit(leader, { type: 'e2e.wait', payload: { ms: 3_000 } });
    await worker.happened('begun');
    frozen.signal('SIGSTOP');
    await using heir = await AttachedProgram.start(other, 1);
    await heir.happened('begun');
    frozen.signal('SIGCONT');
    await worker.happened('settled');
    const settled = worker.events.find(({ event }) => event === 'settled');
    assert.deepEqual([settled?.jobId, settled?.attempt, settled?.accepted], [id, 1, false]);
    const job = await final(leader, id);
    assert.deepEqual([job.state, job.node], ['succeeded', other.peerId]);
    assert.deepEqual(
      job.history.map(({ outcome }) => outcome),
      ['lost', 'succeeded'],
    );
  });
});
