import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Agent,
  Cluster,
  isAlive,
  leaderAndFollowers,
  processesWith,
  type Ran,
  RpcError,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Held {
  readonly leaseId: string;
  readonly fencingToken: number;
  readonly validMs: number;
}

interface LockView {
  readonly holders: readonly { readonly leaseId: string }[];
  readonly waiterCount: number;
}

/** Writes its token and then, twenty times a second, the time. It does not end when asked to. */
const STUBBORN =
  'trap "" TERM; echo "token $ASPEN_FENCING_TOKEN" >> "$0"; while :; do date +%s%3N >> "$0"; sleep 0.05; done';

describe('locks of the mesh', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  const started: AbortController[] = [];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(async () => {
    for (const abort of started) abort.abort();
    await cluster[Symbol.asyncDispose]();
  });

  /** `lock run` with a program that leaves a trace. */
  function runTraced(agent: Agent, name: string, trace: string, ...flags: string[]) {
    const abort = new AbortController();
    started.push(abort);
    const args = ['lock', 'run', name, ...flags, '--', 'sh', '-c', STUBBORN, trace];
    const ran: Promise<Ran> = agent.cli(args, {
      signal: abort.signal,
      env: { ASPEN_E2E_CLUSTER: cluster.directory },
    });
    return { ran, kill: () => abort.abort() };
  }

  const linesOf = (trace: string) => readFileSync(trace, 'utf8').trimEnd().split('\n');
  const isTracing = (trace: string) => existsSync(trace) && linesOf(trace).length > 2;
  const lockOf = (agent: Agent, name: string) => agent.call<LockView>('lock.get', { name });

  it('are taken in turn by clients of different agents, with growing tokens', async () => {
    const [one, two] = agents as [Agent, Agent, Agent];
    const first = await one.call<Held>('lock.acquire', { name: 'turn', ttlMs: 30_000 });
    const refused = await two.call('lock.acquire', { name: 'turn', ttlMs: 30_000 }).catch((error) => error);
    assert.ok(refused instanceof RpcError);
    assert.equal(refused.data['code'], 'CONFLICT');
    const second = two.call<Held>('lock.acquire', { name: 'turn', ttlMs: 30_000, waitMs: 60_000 }, 70_000);
    await until(async () => (await lockOf(one, 'turn')).waiterCount === 1, { what: 'two to wait' });
    await one.call('lock.release', { name: 'turn', leaseId: first.leaseId });
    const { fencingToken, leaseId } = await second;
    assert.ok(fencingToken > first.fencingToken);
    const lost = await one
      .call('lock.renew', { name: 'turn', leaseId: first.leaseId })
      .catch((error) => error);
    assert.equal((lost as RpcError).data['code'], 'FENCED');
    await two.call('lock.release', { name: 'turn', leaseId });
  });

  it('are left by a client whose socket closes while it waits', async () => {
    const [one, two] = agents as [Agent, Agent, Agent];
    const { leaseId } = await one.call<Held>('lock.acquire', { name: 'left', ttlMs: 60_000 });
    const client = await two.connect();
    const waiting = client
      .call('lock.acquire', { name: 'left', ttlMs: 60_000, waitMs: 60_000 }, 70_000)
      .catch(() => 'closed');
    await until(async () => (await lockOf(one, 'left')).waiterCount === 1, { what: 'it to wait' });
    client[Symbol.dispose]();
    await until(async () => (await lockOf(one, 'left')).waiterCount === 0, { what: 'its place to be free' });
    assert.equal(await waiting, 'closed');
    await one.call('lock.release', { name: 'left', leaseId });
    assert.deepEqual((await lockOf(two, 'left')).holders, []);
  });

  it('keep their queue when the leader is killed', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [one, two] = followers as [Agent, Agent];
    const { leaseId } = await one.call<Held>('lock.acquire', { name: 'queue', ttlMs: 120_000 });
    const next = two.call<Held>('lock.acquire', { name: 'queue', ttlMs: 60_000, waitMs: 100_000 }, 110_000);
    await until(async () => (await lockOf(one, 'queue')).waiterCount === 1, { what: 'two to wait' });
    await leader.kill9();
    await until(
      () =>
        one.call('lock.release', { name: 'queue', leaseId }).then(
          () => true,
          () => false,
        ),
      { what: 'the lock to be given back under the new leader' },
    );
    assert.ok((await next).fencingToken > 0);
    await leader.up();
    await leaderAndFollowers(agents);
  });

  it('run a program with its token, and hand its exit code on', async () => {
    const [one] = agents as [Agent];
    const script = 'test "$ASPEN_LOCK_NAME" = code && test "$ASPEN_FENCING_TOKEN" -gt 0 && exit 7';
    const ran = await one.cli(['lock', 'run', 'code', '--', 'sh', '-c', script]);
    assert.equal(ran.code, 7, ran.stderr);
    const killed = await one.cli(['lock', 'run', 'code', '--', 'sh', '-c', 'kill -9 $$']);
    assert.equal(killed.code, 137, killed.stderr);
    assert.equal((await one.cli(['lock', 'run', 'code', '--', 'no-such-program'])).code, 127);
    assert.deepEqual((await lockOf(one, 'code')).holders, []);
    const { leaseId } = await one.call<Held>('lock.acquire', { name: 'code', ttlMs: 60_000 });
    assert.equal((await one.cli(['lock', 'run', 'code', '--wait', '0s', '--', 'true'])).code, 4);
    assert.equal((await one.cli(['lock', 'run', 'code', '--wait', '500ms', '--', 'true'])).code, 8);
    await one.call('lock.release', { name: 'code', leaseId });
  });

  it('end the program before another has the lock when the agent is stopped by SIGSTOP', async () => {
    const { followers } = await leaderAndFollowers(agents);
    const [victim, other] = followers as [Agent, Agent];
    const [mine, theirs] = ['mine', 'theirs'].map((name) => join(cluster.directory, `stop-${name}`));
    const holding = runTraced(victim, 'stopped', mine as string, '--ttl', '4s');
    await until(() => isTracing(mine as string), { what: 'the first program to run' });
    const waiting = runTraced(other, 'stopped', theirs as string, '--ttl', '4s');
    await until(async () => (await lockOf(other, 'stopped')).waiterCount === 1, {
      what: 'the second to wait',
    });
    victim.signal('SIGSTOP');
    try {
      const ran = await holding.ran;
      assert.equal(ran.code, 4, ran.stderr);
      assert.match(ran.stderr, /lock "stopped" was lost/);
      await until(() => isTracing(theirs as string), { what: 'the second program to run' });
    } finally {
      victim.signal('SIGCONT');
    }
    assertInTurn(linesOf(mine as string), linesOf(theirs as string));
    waiting.kill();
    await until(() => tracing(theirs as string).length === 0, { what: 'the watchdog to end the second' });
  });

  it('end the program when the agent is killed, and when the command itself is', async () => {
    const { followers } = await leaderAndFollowers(agents);
    const [victim] = followers as [Agent];
    const trace = join(cluster.directory, 'killed');
    const holding = runTraced(victim, 'killed', trace, '--ttl', '4s');
    await until(() => isTracing(trace), { what: 'the program to run' });
    await victim.kill9();
    assert.equal((await holding.ran).code, 4);
    assert.deepEqual(tracing(trace), []);
    await victim.up();
    await leaderAndFollowers(agents);
    const second = runTraced(victim, 'killed', `${trace}-2`, '--ttl', '4s');
    await until(() => isTracing(`${trace}-2`), { what: 'the program to run again' });
    second.kill();
    assert.equal((await second.ran).signal, 'SIGKILL');
    await until(() => tracing(`${trace}-2`).length === 0, { what: 'the watchdog to end it' });
  });

  /** Processes that write this trace. */
  function tracing(trace: string): number[] {
    return processesWith(`ASPEN_E2E_CLUSTER=${cluster.directory}`).filter(
      (pid) => isAlive(pid) && commandOf(pid).includes(trace) && !commandOf(pid).includes('lock'),
    );
  }
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}

/** The last sign of life of one comes before the first of the other, whose token is greater. */
function assertInTurn(first: readonly string[], second: readonly string[]): void {
  const tokenOf = ([line = '']: readonly string[]) => Number(line.replace('token ', ''));
  assert.ok(tokenOf(second) > tokenOf(first), `${tokenOf(first)}, then ${tokenOf(second)}`);
  assert.ok(Number(second[1]) > Number(first.at(-1)), `${first.at(-1)}, then ${second[1]}`);
}
