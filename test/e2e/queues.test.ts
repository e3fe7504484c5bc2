import assert from 'node:assert/strict';
import { type Agent, Cluster, type Job, leaderAndFollowers, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** Most attempts of these jobs that ran at one moment, by the times in their records. */
function mostAtOnce(jobs: readonly Job[]): number {
  const moments = jobs.flatMap(({ startedAt, finishedAt }) => [
    { atMs: startedAt as number, change: 1 },
    { atMs: finishedAt as number, change: -1 },
  ]);
  moments.sort((left, right) => left.atMs - right.atMs || left.change - right.change);
  let running = 0;
  return Math.max(...moments.map(({ change }) => (running += change)));
}

describe('queues of three agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  let leader: Agent;
  let other: Agent;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
    const found = await leaderAndFollowers(agents);
    leader = found.leader;
    other = found.followers[0] as Agent;
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('a paused queue lets running jobs end and starts nothing, says why, and goes on when it is resumed', async () => {
    const sleeps = { type: 'shell', payload: { command: 'sleep', args: ['1'] }, queue: 'mail' };
    const first = await other.submit(sleeps);
    await until(async () => (await other.call<Job>('job.get', { id: first.id })).state === 'running', {
      what: 'the first job to run',
    });
    await other.cliJson(['queue', 'pause', 'mail', '--reason', 'provider down']);
    const second = await leader.submit(sleeps);
    assert.equal((await other.waitForJob(first.id)).state, 'succeeded');
    const explained = await leader.cliJson<{ waitingFor: string }>(['job', 'explain', second.id]);
    assert.equal(explained.waitingFor, 'queue mail is paused: provider down');
    const { queues } = await leader.cliJson<{ queues: { queue: string; states: object }[] }>([
      'queue',
      'list',
    ]);
    assert.deepEqual(queues.find(({ queue }) => queue === 'mail')?.states, { queued: 1, succeeded: 1 });
    await leader.cliJson(['queue', 'resume', 'mail']);
    assert.equal((await other.waitForJob(second.id)).state, 'succeeded');
  });

  it('a limit of two is never exceeded by ten jobs on nodes with room for all', async () => {
    await leader.cliJson(['queue', 'limit', 'narrow', '--concurrency', '2']);
    const spec = { type: 'shell', payload: { command: 'sleep', args: ['0.3'] }, queue: 'narrow' };
    const submitted = await Promise.all(
      Array.from({ length: 10 }, (_, at) => (agents[at % 3] as Agent).submit(spec)),
    );
    const jobs = await Promise.all(submitted.map(({ id }) => other.waitForJob(id)));
    assert.ok(jobs.every(({ state }) => state === 'succeeded'));
    assert.equal(mostAtOnce(jobs), 2);
  });

  it('whoever watches a queue at another agent is told of each change, in order', async () => {
    const client = await other.connect();
    const seen: string[] = [];
    client.onNotification(({ method, params }) => {
      if (method === 'job.change') seen.push(`${params['id']} ${params['state']}`);
    });
    const { subscription } = (await client.call('job.watch', { filter: { queue: 'seen' } })) as {
      subscription: string;
    };
    await leader.submit({ type: 'echo', payload: 1 });
    const { id } = await leader.submit({ type: 'echo', payload: 1, queue: 'seen' });
    await until(async () => seen.includes(`${id} succeeded`), {
      what: 'the watcher to see the end of the job',
    });
    assert.deepEqual(seen, [`${id} queued`, `${id} running`, `${id} succeeded`]);
    assert.deepEqual(await client.call('job.watchStop', { subscription }), { stopped: true });
  });

  it('a dead job is found by its reason, redriven once, and purged', async () => {
    const flag = `${cluster.directory}/mended`;
    const command = `test -e ${flag} || exit 3`;
    const spec = {
      type: 'shell',
      payload: { command, shell: true },
      queue: 'dlq',
      retry: { maxAttempts: 1 },
    };
    const { id } = await other.submit(spec);
    const doomed = await leader.submit(spec);
    assert.equal((await other.waitForJob(id)).state, 'dead');
    await other.waitForJob(doomed.id);
    const { jobs } = await leader.cliJson<{ jobs: { id: string; error: { code: string } }[] }>([
      ...['dlq', 'list', '--queue', 'dlq'],
    ]);
    assert.deepEqual(new Set(jobs.map((job) => job.id)), new Set([id, doomed.id]));
    const reason = jobs[0]?.error.code as string;
    await other.cliJson(['dlq', 'purge', doomed.id]);
    const ran = await other.cli(['run', '--', 'touch', flag]);
    assert.equal(ran.code, 0, ran.stderr);
    const { redriven } = await other.cliJson<{ redriven: string[] }>(['dlq', 'redrive', '--reason', reason]);
    assert.deepEqual(redriven, [id]);
    const mended = await leader.waitForJob(id);
    assert.deepEqual([mended.state, mended.attempt, mended.history.length], ['succeeded', 2, 2]);
    assert.equal((await leader.cli(['dlq', 'redrive', id])).code, 4);
    assert.equal((await leader.cli(['job', 'get', doomed.id])).code, 3);
  });
});
