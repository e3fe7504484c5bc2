import { setTimeout as pause } from 'node:timers/promises';
import type { Job, RpcClient, Submitted } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { inFlightFor } from '../load.ts';
import { SEATS, withMesh } from '../meshes.ts';

const IN_FLIGHT = 100;
const BULK_JOBS = 500;
const BULKS_IN_FLIGHT = 4;
const SUBMIT_FOR_MS = 3_000;
const WARM_UP_MS = 1_000;
/** Looking for unfinished jobs may take this share of the time at most, since it is work for the agent too. */
const LOOKING_SHARE = 0.1;
const SHORTEST_PAUSE_MS = 5;
const CHECKED_JOBS = 200;
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
        await jobsPerSecond(client, singles(client), WARM_UP_MS);
        const single = await repeat(runCount, () => jobsPerSecond(client, singles(client), SUBMIT_FOR_MS));
        figures.push(figure(`${seat.name}: single submits, ${IN_FLIGHT} in flight`, 'jobs/s', single));
        const bulk = await repeat(runCount, () => jobsPerSecond(client, bulks(client), SUBMIT_FOR_MS));
        figures.push(figure(`${seat.name}: bulks of ${BULK_JOBS}`, 'jobs/s', bulk));
      });
    }
    return figures;
  },
};

interface Load {
  readonly inFlight: number;
  /** Submits some jobs and keeps their ids. */
  submit(): Promise<void>;
  readonly ids: string[];
}

function singles(client: RpcClient): Load {
  const ids: string[] = [];
  const submit = async (): Promise<void> => {
    ids.push(durable(await client.call<Submitted>('job.submit', NO_OP)));
  };
  return { inFlight: IN_FLIGHT, submit, ids };
}

function bulks(client: RpcClient): Load {
  const ids: string[] = [];
  const jobs = Array.from({ length: BULK_JOBS }, () => NO_OP);
  const submit = async (): Promise<void> => {
    const { results } = await client.call<{ results: Submitted[] }>('job.submitMany', { jobs });
    ids.push(...results.map(durable));
  };
  return { inFlight: BULKS_IN_FLIGHT, submit, ids };
}

async function jobsPerSecond(client: RpcClient, load: Load, durationMs: number): Promise<number> {
  const startedMs = performance.now();
  await inFlightFor({ inFlight: load.inFlight, durationMs }, load.submit);
  await nothingUnfinished(client);
  const elapsedMs = performance.now() - startedMs;
  await checkSample(client, load.ids);
  return (load.ids.length / elapsedMs) * 1_000;
}

async function nothingUnfinished(client: RpcClient): Promise<void> {
  for (;;) {
    const askedMs = performance.now();
    const { jobs } = await client.call<{ jobs: Job[] }>('job.list', {
      state: ['queued', 'running', 'scheduled'],
      limit: 1,
    });
    if (jobs.length === 0) return;
    const lookingMs = performance.now() - askedMs;
    await pause(Math.max(SHORTEST_PAUSE_MS, lookingMs / LOOKING_SHARE));
  }
}

function durable(submitted: Submitted): string {
  if (submitted.durability === 'mesh') return submitted.id;
  throw new Error(`a job was not accepted by the mesh: ${JSON.stringify(submitted)}`);
}

async function checkSample(client: RpcClient, ids: readonly string[]): Promise<void> {
  const step = Math.max(1, Math.floor(ids.length / CHECKED_JOBS));
  for (const id of ids.filter((_, index) => index % step === 0)) {
    const { state } = await client.call<Job>('job.get', { id });
    if (state !== 'succeeded') throw new Error(`${id} is ${state}; the measurement is void`);
  }
}
