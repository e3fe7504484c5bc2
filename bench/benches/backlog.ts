import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, AttachedProgram, Cluster, type RpcClient } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { BULK_JOBS, BULKS_IN_FLIGHT, bulks, jobsPerSecond } from '../job-load.ts';
import { SLOTS } from '../meshes.ts';
import { privateMB } from '../processes.ts';

/** How many jobs wait. Set `ASPEN_BENCH_BACKLOGS`, such as `1000,100000`, for other sizes. */
const SIZES = (process.env['ASPEN_BENCH_BACKLOGS'] ?? '1000,100000,1000000').split(',').map(Number);
const FOR_MS = 3_000;
const QUIET_MS = 3_000;
const POLL_MS = 20;
/** Of the backlog itself so many are run at most. */
const DRAINED_LIMIT = 50_000;
const START_CAP_MS = 120_000;
const NO_OP = { type: 'e2e.echo', payload: 0 };
/** In a queue of their own they are counted without looking at those that wait. */
const BUSY_QUEUE = 'busy';
/** Nobody runs it, and it is as urgent as the others. */
const STANDING = { type: 'bench.standing', payload: 0 };

export const backlog: Bench = {
  name: 'backlog',
  method:
    `One agent in which ${SIZES.join(', ')} jobs wait. Private memory ${QUIET_MS / 1_000} s after they were accepted, and after a restart; from killing ` +
    'the agent and starting it again to the first job accepted; no-op jobs in bulks of ' +
    `${BULK_JOBS} from submit to complete, for ${FOR_MS / 1_000} s, while those others wait that nobody runs; then the waiting jobs are ones that ` +
    `an attached worker of ${SLOTS} slots runs: from attaching it until ${DRAINED_LIMIT} of them, or all, have completed.`,
  async run({ runCount }) {
    const figures: Figure[] = [];
    for (const size of SIZES) figures.push(...(await measure(size, runCount)));
    return figures;
  },
};

async function measure(size: number, runCount: number): Promise<Figure[]> {
  await using cluster = new Cluster();
  const agent = cluster.add('a', { env: { ASPEN_SLOTS: '0', ASPEN_LOG_LEVEL: 'warn' } });
  await agent.up();
  const name = `${size} jobs wait`;
  const accepted = await fill(agent, STANDING, size);
  await pause(QUIET_MS);
  const beforeMB = privateMB(agent.pid);
  const rates = await busyRates(agent, runCount);
  const readySeconds = await restart(agent);
  await pause(QUIET_MS);
  const afterMB = privateMB(agent.pid);
  const drained = await drainRate(cluster, size);
  return [
    figure(`${name}: accepted`, 'jobs/s', [accepted]),
    figure(`${name}: private memory`, 'MB', [beforeMB]),
    figure(`${name}: private memory after a restart`, 'MB', [afterMB]),
    figure(`${name}: killed and started until a job is accepted`, 's', [readySeconds]),
    figure(`${name}: others submitted and completed`, 'jobs/s', rates),
    figure(`${name}: completed by a worker that attaches`, 'jobs/s', [drained]),
  ];
}

/** @returns how many were accepted a second. */
async function fill(agent: Agent, spec: object, size: number): Promise<number> {
  using client = await agent.connect();
  const startedMs = performance.now();
  let left = size;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      const count = Math.min(BULK_JOBS, left);
      left -= count;
      await client.call('job.submitMany', { jobs: Array.from({ length: count }, () => spec) });
    }
  };
  await Promise.all(Array.from({ length: BULKS_IN_FLIGHT }, lane));
  return (size / (performance.now() - startedMs)) * 1_000;
}

async function busyRates(agent: Agent, runCount: number): Promise<number[]> {
  using client = await agent.connect();
  await using _ = await AttachedProgram.start(agent, SLOTS);
  return await repeat(runCount, () =>
    jobsPerSecond(client, bulks(client, { ...NO_OP, queue: BUSY_QUEUE }), FOR_MS, async () => {
      while ((await unfinishedIn(BUSY_QUEUE, client)) > 0) await pause(POLL_MS);
    }),
  );
}

/** @returns seconds until the agent accepts a job again. */
async function restart(agent: Agent): Promise<number> {
  await agent.kill9();
  const startedMs = performance.now();
  await agent.up();
  await agent.call('job.submit', STANDING, START_CAP_MS);
  return (performance.now() - startedMs) / 1_000;
}

/** An agent of its own, so that nothing else waits. */
async function drainRate(cluster: Cluster, size: number): Promise<number> {
  const agent = cluster.add('b', { env: { ASPEN_SLOTS: '0', ASPEN_LOG_LEVEL: 'warn' } });
  await agent.up();
  await fill(agent, NO_OP, size);
  using client = await agent.connect();
  const goal = Math.min(size, DRAINED_LIMIT);
  await using _ = await AttachedProgram.start(agent, SLOTS);
  const startedMs = performance.now();
  const doneNow = async () => size - (await unfinishedIn('default', client));
  const firstDone = await doneNow();
  for (;;) {
    const done = await doneNow();
    if (done >= goal) return ((done - firstDone) / (performance.now() - startedMs)) * 1_000;
    await pause(POLL_MS);
  }
}

async function unfinishedIn(queue: string, client: RpcClient): Promise<number> {
  const { queues } = await client.call<{ queues: { waiting: number; running: number }[] }>('queue.list', {
    queue,
  });
  const [{ waiting, running }] = queues as [{ waiting: number; running: number }];
  return waiting + running;
}
