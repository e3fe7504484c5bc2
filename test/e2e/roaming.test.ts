import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backAgain, hasPathTo, tellTimes } from './harness/back-again.ts';
import { type Agent, Cluster, Lan, leaderAndFollowers, until, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** Runs as long as the move takes, and tells when two of it run at once. */
const LONG_S = 12;

describe('a member whose address changes while it works', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let agents: Agent[];
  let nextHost = 50;
  /** Clients of the story that is told: ended with it, whatever became of it. */
  let endings: (() => Promise<unknown>)[] = [];
  reportFailures(() => cluster);

  before(async () => {
    lan = new Lan(3);
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c'], { netns: lan.machines });
  });
  afterEach(async () => {
    await Promise.allSettled(endings.map((end) => end()));
    endings = [];
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  for (const who of ['a follower', 'the leader'] as const) {
    it(`${who} is back: nothing acknowledged is lost, no job runs twice at once, and the session is kept or said to be lost`, async () => {
      const { leader, followers } = await leaderAndFollowers(agents);
      const mover = who === 'the leader' ? leader : (followers[0] as Agent);
      const others = agents.filter((agent) => agent !== mover);
      const before = await mover.status();
      const own = new Writer(mover, `${mover.name}-own/`);
      const foreign = new Writer(others[0] as Agent, `${mover.name}-foreign/`);
      const trace = join(cluster.directory, `trace-${mover.name}`);
      const long = await longJob(others[0] as Agent, mover, trace);
      const short = new Jobs(others[0] as Agent, mover);
      endings = [() => own.stop(), () => foreign.stop(), () => short.end()];
      await Promise.all([own.more(50), foreign.more(50)]);

      lan.renumber(mover.netns as string, nextHost++);
      tellTimes(`${who} moved`, await backAgain(mover, others));

      await Promise.all([own.more(50), foreign.more(50)]);
      assert.deepEqual([...new Set(await short.end())], ['succeeded']);
      const ended = await mover.waitForJob(long, 120_000);
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended));
      assert.doesNotMatch(readFileSync(trace, 'utf8'), /twice/);
      for (const writer of [own, foreign]) {
        await writer.stop();
        for (const agent of agents) assert.deepEqual(await writer.missingAt(agent), []);
      }
      const after = await mover.status();
      assert.equal(after.connectivity.latestUpheaval?.type, 'network');
      if (after.session.id !== before.session.id) assert.notEqual(after.session.latestLoss, null);
      assert.ok(
        JSON.stringify(after.connectivity).includes(`10.77.0.${nextHost - 1}/`),
        'tells its new address',
      );
    });
  }

  it('is not called linked while its cable is out, by itself or by others, and is back when it is in again', async () => {
    const { followers } = await leaderAndFollowers(agents);
    const [mover] = followers as [Agent];
    const others = agents.filter((agent) => agent !== mover);
    lan.unplug(mover.netns as string);
    try {
      for (const other of others) {
        await until(async () => !(await hasPathTo(other, mover)), { what: 'the others to notice' });
        await until(async () => !(await hasPathTo(mover, other)), { what: 'it to notice' });
      }
    } finally {
      lan.plug(mover.netns as string);
    }
    tellTimes('the cable is in again', await backAgain(mover, others));
  });
});

async function longJob(from: Agent, on: Agent, trace: string): Promise<string> {
  const script = `exec 9>>${trace}.lock; flock -n 9 || echo twice >> ${trace}; echo begins >> ${trace}; sleep ${LONG_S}`;
  const { id } = await from.submit({
    type: 'shell',
    payload: { command: 'sh', args: ['-c', script] },
    affinity: { node: { peerId: on.peerId, mode: 'require' } },
  });
  await until(() => existsSync(trace), { what: 'the long job to run', everyMs: 20 });
  return id;
}

/** One short job after the other on one node, with the retries that jobs have. */
class Jobs {
  readonly #states: string[] = [];
  readonly #working: Promise<void>;
  #isOver = false;

  constructor(from: Agent, on: Agent) {
    this.#working = this.#work(from, on);
    this.#working.catch(() => undefined); // told by the end of it
  }

  /** @returns how they ended. */
  async end(): Promise<readonly string[]> {
    this.#isOver = true;
    await this.#working;
    return this.#states;
  }

  async #work(from: Agent, on: Agent): Promise<void> {
    const affinity = { node: { peerId: on.peerId, mode: 'require' } };
    while (!this.#isOver) {
      const { id } = await from.submit({ type: 'echo', affinity });
      this.#states.push((await from.waitForJob(id)).state);
    }
  }
}
