import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { backAgain, tellTimes } from './harness/back-again.ts';
import {
  type Agent,
  Cluster,
  type Job,
  leaderAndFollowers,
  RpcError,
  until,
  WallClock,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Held {
  readonly leaseId: string;
  readonly fencingToken: number;
}

/** Beyond what a session, a lock of 5 s and a young attempt bear; longer ones show the same. */
const STOPPED_MS = Number(process.env['ASPEN_E2E_STOP_MS'] ?? 25_000);
/** What a machine that slept finds its wall clock ahead by. */
const SLEPT_S = 60;

describe('an agent that stands still while it holds a session, a lock and a job', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  let clocks: ReadonlyMap<Agent, WallClock>;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    const files = ['a', 'b', 'c'].map((name) => new WallClock(join(cluster.directory, `clock-${name}`)));
    agents = files.map((clock, at) =>
      cluster.add('abc'[at] as string, WallClock.isAvailable ? { env: clock.env } : {}),
    );
    clocks = new Map(agents.map((agent, at) => [agent, files[at] as WallClock]));
    const [founder, ...others] = agents as [Agent, ...Agent[]];
    await founder.up();
    const { ticket } = await founder.call<{ ticket: string }>('mesh.ticket', { uses: others.length });
    for (const agent of others) await agent.join(ticket);
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  for (const how of ['is stopped', 'sleeps'] as const) {
    it(`and ${how}: nothing is accepted of what it held, and it is a member again`, async () => {
      if (how === 'sleeps' && !WallClock.isAvailable) return; // the clock of a machine that slept is ahead: that takes libfaketime
      const { leader, followers } = await leaderAndFollowers(agents);
      const [sleeper] = followers as [Agent, Agent];
      const others = agents.filter((agent) => agent !== sleeper);
      const name = `held when it ${how}`;
      const held = await sleeper.call<Held>('lock.acquire', { name, ttlMs: 5_000 });
      const id = await runningOn(sleeper, leader);
      const before = await sleeper.status();

      sleeper.signal('SIGSTOP');
      const next = leader.call<Held>('lock.acquire', { name, ttlMs: 60_000, waitMs: 60_000 }, 70_000);
      await pause(STOPPED_MS);
      if (how === 'sleeps') clocks.get(sleeper)?.set(SLEPT_S);
      const queued = [
        sleeper.call('lock.renew', { name, leaseId: held.leaseId }),
        sleeper.call('lock.release', { name, leaseId: held.leaseId }),
      ].map((asked) =>
        asked.then(
          () => 'accepted',
          (error: unknown) => error,
        ),
      );
      sleeper.signal('SIGCONT');
      const times = backAgain(sleeper, others);

      for (const answer of await Promise.all(queued)) assert.ok(answer instanceof RpcError, String(answer));
      tellTimes(`an agent that ${how}`, await times);
      assert.ok((await next).fencingToken > held.fencingToken);
      const job = await leader.waitForJob(id, 90_000);
      assert.equal(job.state, 'succeeded');
      assert.notEqual(job.attempt, 1, 'the attempt that slept is over');
      assert.match(JSON.stringify(job.history), /lost/);
      const after = await sleeper.status();
      assert.equal(after.connectivity.latestUpheaval?.type, 'woke');
      if (how === 'sleeps') {
        assert.equal(after.session.latestLoss?.reason, 'slept');
        assert.notEqual(after.session.id, before.session.id);
      }
      clocks.get(sleeper)?.set(0);
    });
  }

  /** @returns a job whose first attempt ends while the agent stands still, and that may go on elsewhere. */
  async function runningOn(node: Agent, from: Agent): Promise<string> {
    const { id } = await from.submit({
      type: 'shell',
      payload: { command: 'sh', args: ['-c', 'test $ASPEN_ATTEMPT -gt 1 || sleep 8'] },
      affinity: { node: { peerId: node.peerId, mode: 'prefer' } },
    });
    await until(
      async () => {
        const job = await from.call<Job>('job.get', { id });
        return job.state === 'running' && job.node === node.peerId;
      },
      { what: 'the job to run', everyMs: 20 },
    );
    return id;
  }
});
