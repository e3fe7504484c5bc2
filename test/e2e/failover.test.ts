import assert from 'node:assert/strict';
import {
  type Agent,
  agreement,
  Cluster,
  type Job,
  leaderAndFollowers,
  type Ran,
  type ShellResult,
  until,
  Writer,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const JOBS = 10;

describe('losing one of three agents', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('no acknowledged write is lost when the leader is killed, and writes go on', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [through, other] = followers as [Agent, Agent];
    const writer = new Writer(through, 'failover/');
    try {
      await writer.more(50);
      await leader.kill9();
      await writer.more(50);
    } finally {
      await writer.stop();
    }
    assert.deepEqual(await writer.missingAt(other), []);
    await leader.up();
    await agreement(agents);
    assert.deepEqual(await writer.missingAt(leader), []);
  });

  it('the jobs of a killed follower run again elsewhere, and only there they complete', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim, other] = followers as [Agent, Agent];
    const ids = await Promise.all(
      Array.from({ length: JOBS }, () =>
        submitPreferring(leader, victim, 'if [ "$ASPEN_ATTEMPT" = 1 ]; then sleep 120; fi; echo done'),
      ),
    );
    const program = 'echo begun $ASPEN_ATTEMPT; if [ "$ASPEN_ATTEMPT" = 1 ]; then sleep 120; fi';
    const asked = ['run', '--prefer-node', victim.peerId, '--', 'sh', '-c', program];
    const streamed = await new Promise<{ ran: Promise<Ran> }>((resolve) => {
      const ran = leader.cli(asked, { onStdout: () => resolve({ ran }) });
    });
    const before = await until(
      async () => {
        const jobs = await Promise.all(ids.map((id) => leader.call<Job>('job.get', { id })));
        return jobs.every((job) => job.state === 'running' && job.node === victim.peerId) && jobs;
      },
      { what: 'all ten to run on the victim' },
    );
    await victim.kill9();
    const after = await Promise.all(ids.map((id) => other.waitForJob(id, 90_000)));
    for (const [index, job] of after.entries()) {
      assert.equal(job.state, 'succeeded');
      assert.notEqual(job.node, victim.peerId);
      assert.equal(job.attempt, 2);
      assert.ok(job.fencingToken > (before[index] as Job).fencingToken, 'the fencing token grows');
      assert.equal((job.result as ShellResult).stdout, 'done\n');
      assert.match(JSON.stringify(job.history), /lost/);
    }
    const { code, stdout, stderr } = await streamed.ran;
    assert.deepEqual([code, stdout], [0, 'begun 1\nbegun 2\n'], stderr);
    const told = [
      new RegExp(`attempt 1 of job_\\w+ on ${victim.name} was lost: .*silent for \\d+ ms`),
      /attempt 2 of job_\w+ runs on \w+/,
      /the output of attempt 2 of job_\w+ begins/,
    ];
    const places = told.map((line) => stderr.search(line));
    assert.ok(
      places.every((place, at) => place > (places[at - 1] ?? -1)),
      stderr,
    );
    victim.endOrphans();
    await victim.up();
    await agreement(agents);
  });

  it('an agent that slept while its job was given away cannot complete the old attempt', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [sleeper] = followers as [Agent, Agent];
    const id = await submitPreferring(leader, sleeper, 'sleep 1; echo attempt $ASPEN_ATTEMPT on $ASPEN_NODE');
    await until(
      async () => {
        const job = await leader.call<Job>('job.get', { id });
        return job.state === 'running' && job.node === sleeper.peerId;
      },
      { what: 'the job to run on the sleeper', everyMs: 20 },
    );
    sleeper.signal('SIGSTOP'); // its job goes on and ends; the agent cannot tell anybody
    let settled: Job;
    try {
      settled = await leader.waitForJob(id, 90_000);
    } finally {
      sleeper.signal('SIGCONT');
    }
    assert.deepEqual([settled.state, settled.attempt], ['succeeded', 2]);
    assert.notEqual(settled.node, sleeper.peerId);
    assert.equal((settled.result as ShellResult).stdout, `attempt 2 on ${settled.node}\n`);
    await agreement(agents);
    await until(() => sleeper.jobProcesses().length === 0, { what: 'the old attempt to be gone' });
    for (const agent of agents) assert.deepEqual(await agent.call<Job>('job.get', { id }), settled);
  });
});

async function submitPreferring(through: Agent, node: Agent, script: string): Promise<string> {
  const { id } = await through.submit({
    type: 'shell',
    payload: { command: 'sh', args: ['-c', script] },
    affinity: { node: { peerId: node.peerId, mode: 'prefer' } },
  });
  return id;
}
