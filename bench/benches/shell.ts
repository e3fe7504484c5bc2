import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Job, RpcClient, Submitted } from '../../test/e2e/harness/index.ts';
import { type Bench, figure, repeat } from '../bench.ts';
import { SLOTS, withMesh } from '../meshes.ts';

const JOBS = 10_000;
const BULK = 500;
const WARM_UP_JOBS = 200;
/** Waits that are open at a time. */
const WAITING = 200;

export const shell: Bench = {
  name: 'shell',
  method:
    `${JOBS} shell jobs that run "true", submitted in bulks of ${BULK} to one agent with ${SLOTS} slots, until each was told to have succeeded; and the ` +
    `same number of processes begun by xargs with -P ${SLOTS} -n 1, in the same run. Overhead is the difference of the times, by job.`,
  async run({ runCount }) {
    return await withMesh(1, async ({ leader }) => {
      using client = await leader.connect();
      await jobsFor(client, WARM_UP_JOBS);
      const runs = await repeat(runCount, async () => ({
        jobsMs: await jobsFor(client, JOBS),
        xargsMs: await xargsFor(JOBS),
      }));
      return [
        figure(
          'one agent: shell jobs',
          'jobs/s',
          runs.map(({ jobsMs }) => (JOBS * 1_000) / jobsMs),
        ),
        figure(
          `xargs -P ${SLOTS}: processes`,
          'jobs/s',
          runs.map(({ xargsMs }) => (JOBS * 1_000) / xargsMs),
        ),
        figure(
          'one agent: overhead of a job',
          'ms',
          runs.map(({ jobsMs, xargsMs }) => (jobsMs - xargsMs) / JOBS),
        ),
      ];
    });
  },
};

/** @returns how long it took from the first submit to the last end. Unit: ms. */
async function jobsFor(client: RpcClient, count: number): Promise<number> {
  const startedMs = performance.now();
  const waits: Promise<void>[] = [];
  const ids: string[] = [];
  for (let at = 0; at < count; at += BULK) {
    const job = { type: 'shell', payload: { command: 'true' } };
    const jobs = Array.from({ length: Math.min(BULK, count - at) }, () => job);
    const { results } = await client.call<{ results: Submitted[] }>('job.submitMany', { jobs });
    ids.push(...results.map(({ id }) => id));
  }
  const waitNext = async () => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
      const { state } = await client.call<Job>('job.wait', { id, timeoutMs: 120_000 }, 125_000);
      if (state !== 'succeeded') throw new Error(`void: ${id} is ${state}`);
    }
  };
  for (let open = 0; open < WAITING; open += 1) waits.push(waitNext());
  await Promise.all(waits);
  return performance.now() - startedMs;
}

async function xargsFor(count: number): Promise<number> {
  const startedMs = performance.now();
  const child = spawn('xargs', ['-P', String(SLOTS), '-n', '1', 'true'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(Array.from({ length: count }, (_, at) => at).join('\n'));
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`xargs ended with ${code}`);
  return performance.now() - startedMs;
}
