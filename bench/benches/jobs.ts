import { AttachedProgram, type RpcClient, type Submitted } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { BULK_JOBS, BULKS_IN_FLIGHT, bulks, IN_FLIGHT, jobsPerSecond, singles } from '../job-load.ts';
import { SLOTS, withMesh } from '../meshes.ts';
import { measurePeers } from './job-peers.ts';

const SUBMIT_FOR_MS = 3_000;
const WARM_UP_MS = 1_500;
const NO_OP = { type: 'e2e.echo', payload: 0 };
const HANGING = { type: 'e2e.hang-once' };
const WAIT_CAP_MS = 60_000;

export const jobs: Bench = {
  name: 'jobs',
  method:
    `One agent, one submitter process, one attached worker process of ${SLOTS} slots. Durable submit to complete of no-op jobs: ` +
    `${IN_FLIGHT} single submits in flight, or ${BULKS_IN_FLIGHT} bulks of ${BULK_JOBS}, for ${SUBMIT_FOR_MS / 1_000} s and until no ` +
    `job is unfinished. Then ${SLOTS} jobs hang in a worker process, a second one is attached, the first is killed: from the kill ` +
    'until all have completed in the second. The same submits to BullMQ and graphile-worker, each with one submitter and one worker process ' +
    'of as many slots, on a server of its own on this machine.',
  run: async ({ runCount }) => [...(await measureOurs(runCount)), ...(await measurePeers(runCount))],
};

function measureOurs(runCount: number): Promise<Figure[]> {
  return withMesh(1, async ({ leader }) => {
    using client = await leader.connect();
    const figures: Figure[] = [];
    {
      await using _ = await AttachedProgram.start(leader, SLOTS);
      await jobsPerSecond(client, singles(client, NO_OP), WARM_UP_MS);
      const single = await repeat(runCount, () =>
        jobsPerSecond(client, singles(client, NO_OP), SUBMIT_FOR_MS),
      );
      figures.push(figure(`this project: single submits, ${IN_FLIGHT} in flight`, 'jobs/s', single));
      const bulk = await repeat(runCount, () => jobsPerSecond(client, bulks(client, NO_OP), SUBMIT_FOR_MS));
      figures.push(figure(`this project: bulks of ${BULK_JOBS}`, 'jobs/s', bulk));
    }
    const start = () => AttachedProgram.start(leader, SLOTS);
    const recoveries = await repeat(runCount, () => recoveryMs(client, start));
    figures.push(
      figure(`this project: ${SLOTS} jobs of a killed worker process complete in another`, 'ms', recoveries),
    );
    return figures;
  });
}

async function recoveryMs(client: RpcClient, start: () => Promise<AttachedProgram>): Promise<number> {
  await using victim = await start();
  const { results } = await client.call<{ results: Submitted[] }>('job.submitMany', {
    jobs: Array.from({ length: SLOTS }, () => HANGING),
  });
  await victim.happened('begun', SLOTS);
  await using _ = await start();
  const completed = results.map(({ id }) => client.call('job.wait', { id, timeoutMs: WAIT_CAP_MS }));
  const killedMs = performance.now();
  await victim.kill9();
  await Promise.all(completed);
  return performance.now() - killedMs;
}
