import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import {
  type Agent,
  AttachedProgram,
  agreement,
  Cluster,
  type Job,
  leaderAndFollowers,
  type ShellResult,
  type Submitted,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const SLOTS = 5;
/** How late a retry may be on a machine that is busy with other things: no assertion about speed. Unit: ms. */
const LATE_MS = 5_000;

/** One attempt of a job's history. */
interface Past {
  readonly attempt: number;
  readonly node: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: string;
}

const pastOf = ({ history }: Job): Past[] => history as unknown as Past[];
const shell = (script: string) => ({
  type: 'shell',
  payload: { command: 'sh', args: ['-c', script] },
});

describe('the rules of jobs over four real agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c', 'd'], { env: { ASPEN_SLOTS: String(SLOTS) } });
    await Promise.all(agents.map((agent) => runsJobs(agent)));
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Whoever leads knows this agent's slots by then. */
  const runsJobs = async (agent: Agent): Promise<void> => {
    const affinity = { node: { peerId: agent.peerId, mode: 'require' } };
    const { id } = await agent.submit({ type: 'echo', payload: null, affinity });
    assert.equal((await agent.waitForJob(id)).state, 'succeeded');
  };
  const at = (index: number): Agent => agents[index] as Agent;

  it('twenty jobs of a second on twenty slots all run at the same time', async () => {
    const jobs = Array.from({ length: agents.length * SLOTS }, () => shell('sleep 1'));
    const { results } = await at(1).call<{ results: Submitted[] }>('job.submitMany', { jobs });
    const ended = await Promise.all(results.map(({ id }) => at(2).waitForJob(id)));
    assert.ok(ended.every(({ state }) => state === 'succeeded'));
    const lastStart = Math.max(...ended.map(({ startedAt }) => Number(startedAt)));
    const firstEnd = Math.min(...ended.map(({ finishedAt }) => Number(finishedAt)));
    assert.ok(lastStart < firstEnd, `one began at ${lastStart}, when another had ended at ${firstEnd}`);
    for (const { peerId } of agents)
      assert.equal(ended.filter(({ node }) => node === peerId).length, SLOTS, peerId);
  });

  it('low, normal, high, critical submitted to a busy worker run in the reverse order', async () => {
    await using worker = await AttachedProgram.start(at(2), 1);
    const busy = await at(0).submit({ type: 'e2e.wait', payload: { ms: 600_000 } });
    await worker.happened('begun');
    const ids: string[] = [];
    for (const [index, priority] of ['low', 'normal', 'high', 'critical'].entries()) {
      const { id } = await at(index).submit({ type: 'e2e.wait', payload: { ms: 10 }, priority });
      ids.push(id);
    }
    await at(1).call('job.cancel', { id: busy.id });
    await Promise.all(ids.map((id) => at(3).waitForJob(id)));
    const begun = worker.events.filter(({ event }) => event === 'begun').map(({ jobId }) => jobId);
    assert.deepEqual(begun, [busy.id, ...ids.toReversed()]);
  });

  it('a job that always fails starts at about 0, 1 and 3 s, is dead then, and runs once more when it is redriven', async () => {
    const retry = { maxAttempts: 3, backoff: 'exponential', delayMs: 1_000, jitter: 'none' };
    const { id } = await at(0).submit({ ...shell('echo attempt $ASPEN_ATTEMPT; exit 7'), retry });
    const dead = await at(1).waitForJob(id);
    assert.deepEqual([dead.state, dead.attempt], ['dead', 3]);
    assert.match(dead.error?.message ?? '', /7/);
    const [first, second, third] = pastOf(dead) as [Past, Past, Past];
    for (const [before, after, pauseMs] of [
      [first, second, 1_000],
      [second, third, 2_000],
    ] as const) {
      const waitedMs = after.startedAt - before.endedAt;
      assert.ok(waitedMs >= pauseMs, `attempt ${after.attempt} began ${waitedMs} ms after the last one`);
      assert.ok(waitedMs < pauseMs + LATE_MS, `attempt ${after.attempt} began only after ${waitedMs} ms`);
    }
    const { redriven } = await at(3).cliJson<{ redriven: string[] }>(['dlq', 'redrive', id]);
    assert.deepEqual(redriven, [id]);
    const again = await at(2).waitForJob(id);
    assert.deepEqual([again.state, again.attempt], ['dead', 4]);
    assert.equal((again.result as ShellResult).stdout, 'attempt 4\n');
    assert.deepEqual(
      pastOf(again).map(({ attempt, outcome }) => [attempt, outcome]),
      [1, 2, 3, 4].map((attempt) => [attempt, 'failed']),
    );
  });

  it('fifty submits of one idempotency key at one time, through three agents, are one job that runs once', async () => {
    const runs = `${cluster.directory}/runs-of-one-key`;
    const spec = { ...shell(`echo $ASPEN_JOB_ID >> ${runs}`), idempotencyKey: 'e2e-fifty' };
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => at(index % 3).submit(spec)));
    const ids = new Set(answers.map(({ id }) => id));
    assert.equal(ids.size, 1);
    assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
    const [id] = [...ids] as [string];
    assert.equal((await at(3).waitForJob(id)).state, 'succeeded');
    assert.equal(readFileSync(runs, 'utf8'), `${id}\n`);
  });

  it('many long jobs, more than one command takes, are submitted at once through any agent, and once', async () => {
    const requestId = `long-${process.pid}`;
    const jobs = Array.from({ length: 1_000 }, (_, at) => ({ type: 'echo', payload: `${at}`.padEnd(5_000) }));
    let ids: string[] | undefined;
    for (const agent of agents.slice(0, 3)) {
      const { results } = await agent.call<{ results: Submitted[] }>(
        'job.submitMany',
        { jobs, requestId },
        60_000,
      );
      assert.equal(new Set(results.map(({ id }) => id)).size, jobs.length);
      const last = results.at(-1)?.id as string;
      const job = await agent.call<Job>('job.wait', { id: last, timeoutMs: 60_000 });
      assert.equal(job.result, jobs.at(-1)?.payload);
      ids ??= results.map(({ id }) => id);
      assert.deepEqual(
        results.map(({ id }) => id),
        ids,
        'the same jobs',
      );
    }
  });

  it('a diamond submitted at three agents ends, and its last job runs once, although the leader is killed after the first', async () => {
    const runs = `${cluster.directory}/runs-of-the-last`;
    const { leader, followers } = await leaderAndFollowers(agents);
    const [one, two, three] = followers as [Agent, Agent, Agent];
    const a = await one.submit(shell('sleep 0.5'));
    const b = await two.submit({ ...shell('sleep 0.5'), dependsOn: [a.id] });
    const c = await three.submit({ ...shell('sleep 0.5'), dependsOn: [a.id] });
    const d = await one.submit({ ...shell(`echo run >> ${runs}`), dependsOn: [b.id, c.id] });
    assert.equal((await two.waitForJob(a.id)).state, 'succeeded');
    await leader.kill9();
    const last = await three.waitForJob(d.id, 90_000);
    assert.deepEqual([last.state, last.attempt, last.history.length], ['succeeded', 1, 1]);
    assert.equal(readFileSync(runs, 'utf8'), 'run\n');
    const parents = await Promise.all([b, c].map(({ id }) => one.call<Job>('job.get', { id })));
    for (const { state, finishedAt } of parents) {
      assert.equal(state, 'succeeded');
      assert.ok(Number(finishedAt) <= Number(last.startedAt), 'it began before its parents had ended');
    }
    leader.endOrphans();
    await leader.up();
    await agreement(agents);
  });

  it('a stopped agent finds its attempt fenced when it wakes: its supervisor had ended the process before the job ran elsewhere', async () => {
    const { followers } = await leaderAndFollowers(agents);
    const [sleeper, other] = followers as [Agent, Agent];
    const ended = `${cluster.directory}/the-first-attempt-ended`;
    const script = `if [ "$ASPEN_ATTEMPT" = 1 ]; then sleep 600; touch ${ended}; fi; echo attempt $ASPEN_ATTEMPT`;
    const affinity = { node: { peerId: sleeper.peerId, mode: 'prefer' } };
    const { id } = await other.submit({ ...shell(script), affinity });
    await until(() => sleeper.jobProcesses().length > 0, { what: 'the first attempt to run', everyMs: 20 });
    sleeper.signal('SIGSTOP');
    let settled: Job;
    try {
      settled = await other.waitForJob(id, 90_000);
      assert.deepEqual(sleeper.jobProcesses(), [], 'the supervisor ends what the mesh takes away');
    } finally {
      sleeper.signal('SIGCONT');
    }
    assert.deepEqual([settled.state, settled.attempt], ['succeeded', 2]);
    assert.notEqual(settled.node, sleeper.peerId);
    await until(() => sleeper.jobProcesses().length === 0, { what: 'the old process to be gone' });
    await agreement(agents);
    for (const agent of agents) assert.deepEqual(await agent.call<Job>('job.get', { id }), settled);
    assert.deepEqual(
      pastOf(settled).map(({ outcome }) => outcome),
      ['lost', 'succeeded'],
    );
    assert.ok(!existsSync(ended));
  });
});
