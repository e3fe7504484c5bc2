import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { BULK_JOBS, BULKS_IN_FLIGHT, bulks, IN_FLIGHT, jobsPerSecond, singles } from '../job-load.ts';
import { SEATS, withMesh } from '../meshes.ts';

const SUBMIT_FOR_MS = 3_000;
const WARM_UP_MS = 1_000;
const NO_OP = { type: 'echo', payload: 0 };

export const throughput: Bench = {
  name: 'throughput',
  method:
    `Durable submit to complete of no-op jobs (echo) through the socket of one agent, ${IN_FLIGHT} single submits in flight or ` +
    `${BULKS_IN_FLIGHT} bulks of ${BULK_JOBS}, for ${SUBMIT_FOR_MS / 1_000} s; the clock stops when no job is unfinished, which is ` +
    'asked by job.list for at most a tenth of the time. Then a sample of the jobs is read back and must have succeeded.',
  async run({ runCount }) {
    const figures: Figure[] = [];
    for (const seat of SEATS) {
      await withMesh(seat.agentCount, async (mesh) => {
        using client = await seat.pick(mesh).connect();
        await jobsPerSecond(client, singles(client, NO_OP), WARM_UP_MS);
        const single = await repeat(runCount, () =>
          jobsPerSecond(client, singles(client, NO_OP), SUBMIT_FOR_MS),
        );
        figures.push(figure(`${seat.name}: single submits, ${IN_FLIGHT} in flight`, 'jobs/s', single));
        const bulk = await repeat(runCount, () => jobsPerSecond(client, bulks(client, NO_OP), SUBMIT_FOR_MS));
        figures.push(figure(`${seat.name}: bulks of ${BULK_JOBS}`, 'jobs/s', bulk));
      });
    }
    return figures;
  },
};
