import { setTimeout as pause } from 'node:timers/promises';
import type { Job, RpcClient, Submitted } from '../test/e2e/harness/index.ts';
import { inFlightFor } from './load.ts';

export const IN_FLIGHT = 100;
export const BULK_JOBS = 500;
export const BULKS_IN_FLIGHT = 4;
/** Looking for unfinished jobs may take this share of the time at most, since it is work for the agent too. */
const LOOKING_SHARE = 0.1;
const SHORTEST_PAUSE_MS = 5;
const CHECKED_JOBS = 200;

export interface Load {
  readonly inFlight: number;
  /** Submits some jobs and keeps their ids. */
  submit(): Promise<void>;
  readonly ids: string[];
}

/** Single submits of one job, {@link IN_FLIGHT} in flight. */
export function singles(client: RpcClient, job: object): Load {
  const ids: string[] = [];
  const submit = async (): Promise<void> => {
    ids.push(durable(await client.call<Submitted>('job.submit', job)));
  };
  return { inFlight: IN_FLIGHT, submit, ids };
}

/** The same in bulks. */
export function bulks(client: RpcClient, job: object): Load {
  const ids: string[] = [];
  const jobs = Array.from({ length: BULK_JOBS }, () => job);
  const submit = async (): Promise<void> => {
    const { results } = await client.call<{ results: Submitted[] }>('job.submitMany', { jobs });
    ids.push(...results.map(durable));
  };
  return { inFlight: BULKS_IN_FLIGHT, submit, ids };
}

/** Submits for a time, then waits until no job is unfinished, or until `over`. */
export async function jobsPerSecond(
  client: RpcClient,
  load: Load,
  durationMs: number,
  over: (client: RpcClient) => Promise<void> = nothingUnfinished,
): Promise<number> {
  const startedMs = performance.now();
  await inFlightFor({ inFlight: load.inFlight, durationMs }, load.submit);
  await over(client);
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
