import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Agent,
  Cluster,
  isAlive,
  type Job,
  leaderAndFollowers,
  processesWith,
  type ShellResult,
  signalProcess,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** More in the long form: `ASPEN_E2E_ROUNDS=50`. */
const ROUNDS = Number(process.env['ASPEN_E2E_ROUNDS'] ?? 2);
/** Long enough for an agent to be started again on a busy machine. Unit: ms. */
const HOLD_MS = 60_000;

/** Ignores the polite signal, and has a grandchild in a session of its own that does so as well. */
const STUBBORN = `trap "" TERM; setsid sh -c 'trap "" TERM; echo grandchild; sleep 1000 & sleep 1000; true' & sleep 1000; true`;

describe('a supervised job', function () {
  this.timeout(STORY_CAP_MS + ROUNDS * 20_000);
  let cluster: Cluster;
  let agent: Agent;
  reportFailures(() => cluster);

  beforeEach(async () => {
    cluster = new Cluster();
    agent = cluster.add('a');
    await agent.up();
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  const submit = async (text: string, spec: object = {}): Promise<string> => {
    const payload = { command: 'sh', args: ['-c', text], graceMs: 300 };
    const retry = { maxAttempts: 1 };
    return (await agent.submit({ type: 'shell', payload, retry, offline: { holdMs: HOLD_MS }, ...spec })).id;
  };
  const jobOf = (id: string) => agent.call<Job>('job.get', { id });
  const processesOf = (id: string) => processesWith(`ASPEN_JOB_ID=${id}`);
  const supervisors = () =>
    readdirSync(join(agent.dataDir, 'supervisors'))
      .filter((name) => name.endsWith('.json'))
      .map(
        (name) =>
          JSON.parse(readFileSync(join(agent.dataDir, 'supervisors', name), 'utf8')) as { pid: number },
      );

  it('goes on while its agent is killed and started again; nothing is begun twice, no output is missing', async () => {
    const count = 20;
    const lines = 60;
    const trace = join(cluster.directory, 'starts');
    const text = `echo $ASPEN_JOB_ID >> ${trace}; for i in $(seq ${lines}); do echo "line $i"; echo "error $i" >&2; sleep 0.1; done`;
    const ids = await Promise.all(Array.from({ length: count }, () => submit(text)));
    await until(() => readFileSync(trace, 'utf8').trim().split('\n').length === count, {
      what: 'all to run',
    });
    await agent.kill9();
    await agent.up();
    const jobs = await Promise.all(ids.map((id) => agent.waitForJob(id)));
    const expected = (word: string) =>
      Array.from({ length: lines }, (_, at) => `${word} ${at + 1}\n`).join('');
    for (const job of jobs) {
      assert.deepEqual([job.state, job.attempt], ['succeeded', 1]);
      const { stdout, stderr } = job.result as ShellResult;
      assert.deepEqual([stdout, stderr], [expected('line'), expected('error')]);
    }
    assert.equal(readFileSync(trace, 'utf8').trim().split('\n').length, count, 'none began twice');
    const logs = await agent.cli(['job', 'logs', ids[0] as string]);
    const both = Array.from({ length: lines }, (_, at) => [`line ${at + 1}`, `error ${at + 1}`]).flat();
    assert.deepEqual(
      [...logs.stdout.trim().split('\n'), ...logs.stderr.trim().split('\n')].sort(),
      both.sort(),
    );
  });

  it('that ends while there is no agent is told by the next one', async () => {
    const trace = join(cluster.directory, 'ended');
    const id = await submit(`sleep 1; echo over; touch ${trace}`);
    await until(() => processesOf(id).length > 0, { what: 'it to run' });
    await agent.kill9();
    await until(() => processesOf(id).length === 0, { what: 'it to end' });
    await agent.up();
    const job = await agent.waitForJob(id);
    assert.deepEqual(
      [job.state, job.attempt, (job.result as ShellResult).stdout],
      ['succeeded', 1, 'over\n'],
    );
  });

  it('runs again when its supervisor was killed with its agent, and what was left of it is gone by then', async () => {
    const pids = join(cluster.directory, 'pids');
    const id = await submit(`echo $$ >> ${pids}; sleep 2; echo done`, { retry: { maxAttempts: 2 } });
    await until(() => processesOf(id).length > 0, { what: 'it to run' });
    const [supervisor] = supervisors();
    assert.ok(supervisor !== undefined);
    await agent.kill9();
    signalProcess(supervisor.pid, 'SIGKILL');
    await agent.up();
    const job = await agent.waitForJob(id);
    assert.deepEqual([job.state, job.attempt], ['succeeded', 2]);
    const [first = 0] = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    assert.ok(!isAlive(first), 'the first attempt is gone');
  });

  it('is ended by its supervisor when its agent stands still past the hold', async () => {
    const id = await submit(STUBBORN, { offline: { holdMs: 4_000 } });
    await until(() => processesOf(id).length >= 4, { what: 'its family to be there' });
    agent.signal('SIGSTOP');
    try {
      await until(() => processesOf(id).length === 0, { what: 'all of it to be gone' });
    } finally {
      agent.signal('SIGCONT');
    }
    await until(async () => (await jobOf(id)).attempt === 2, { what: 'it to run again' });
    await agent.call('job.cancel', { id });
    assert.equal((await agent.waitForJob(id)).state, 'cancelled');
  });

  it(`leaves no process behind after a timeout and after a cancel, ${ROUNDS} times`, async () => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const late = await submit(STUBBORN, { timeoutMs: 1_000 });
      assert.equal((await agent.waitForJob(late)).state, 'dead');
      assert.deepEqual(processesOf(late), []);
      const cancelled = await submit(STUBBORN);
      await until(() => processesOf(cancelled).length >= 4, { what: 'its family to be there' });
      await agent.call('job.cancel', { id: cancelled });
      await until(async () => (await jobOf(cancelled)).state === 'cancelled', { what: 'it to be cancelled' });
      assert.deepEqual(processesOf(cancelled), [], 'cancelled is said when nothing is left');
    }
  });

  it('goes on while its agent alone is stopped and another one started, as for an upgrade', async () => {
    const trace = join(cluster.directory, 'over');
    const id = await submit(`for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done; echo over >> ${trace}`);
    await until(() => processesOf(id).length > 0, { what: 'it to run' });
    agent.signal('SIGUSR2');
    assert.equal(await agent.ended(), 0);
    assert.ok(processesOf(id).length > 0, 'it goes on');
    await agent.up();
    const job = await agent.waitForJob(id);
    assert.deepEqual([job.state, job.attempt], ['succeeded', 1]);
    assert.equal((job.result as ShellResult).stdout, '1\n2\n3\n4\n5\n6\n7\n8\n');
    assert.equal(readFileSync(trace, 'utf8'), 'over\n');
  });

  it('is ended with its agent when that is asked to stop, and its supervisor ends as well', async () => {
    const id = await submit('sleep 1000');
    await until(() => processesOf(id).length > 0, { what: 'it to run' });
    const [supervisor] = supervisors();
    assert.ok(supervisor !== undefined);
    assert.equal(await agent.stop(), 0);
    assert.deepEqual(processesOf(id), []);
    await until(() => !isAlive(supervisor.pid), { what: 'the supervisor to end' });
    assert.deepEqual(supervisors(), []);
  });
});

describe('a supervised job in a mesh', function () {
  this.timeout(STORY_CAP_MS + ROUNDS * 40_000);
  let cluster: Cluster;
  reportFailures(() => cluster);

  beforeEach(() => {
    cluster = new Cluster();
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  it(`is gone from a node whose agent stands still before it begins on another, ${ROUNDS} times`, async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const { leader, followers } = await leaderAndFollowers(agents);
      const still = followers[round % followers.length] as Agent;
      const trace = join(cluster.directory, `round-${round}`);
      const beat = `echo "$ASPEN_ATTEMPT $(date +%s%N)" >> ${trace}`;
      // Both the leader of the group and a descendant that left it write down that they are alive.
      const line = `while :; do ${beat}; sleep 0.02; done`;
      const { id } = await leader.submit({
        type: 'shell',
        payload: {
          command: 'sh',
          args: ['-c', `trap "" TERM; setsid sh -c 'trap "" TERM; ${line}' & ${line}`],
        },
        affinity: { node: { peerId: still.peerId, mode: 'prefer' } },
        offline: { holdMs: 4_000 },
      });
      await until(() => beatsIn(trace, 1).length > 2, { what: 'it to run' });
      assert.equal((await leader.call<Job>('job.get', { id })).node, still.peerId);
      still.signal('SIGSTOP');
      try {
        await until(() => beatsIn(trace, 2).length > 2, { what: 'it to run elsewhere' });
      } finally {
        still.signal('SIGCONT');
      }
      const last = beatsIn(trace, 1).reduce((a, b) => (a > b ? a : b));
      const first = beatsIn(trace, 2).reduce((a, b) => (a < b ? a : b));
      assert.ok(last < first, `the first attempt was alive ${(last - first) / 1_000_000n} ms too long`);
      await leader.call('job.cancel', { id });
      assert.equal((await leader.waitForJob(id)).state, 'cancelled');
      assert.deepEqual(processesWith(`ASPEN_JOB_ID=${id}`), []);
    }
  });
});

/** When an attempt wrote that it is alive. Unit: ns. */
function beatsIn(trace: string, attempt: number): bigint[] {
  if (!existsSync(trace)) return [];
  return readFileSync(trace, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([number]) => number === String(attempt))
    .map(([, at]) => BigInt(at ?? 0));
}
