import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, figure, repeat } from '../bench.ts';
import { BULK_JOBS, BULKS_IN_FLIGHT, IN_FLIGHT } from '../job-load.ts';
import { inFlightFor } from '../load.ts';
import { withBullmq } from '../peers/bullmq.ts';
import { withGraphile } from '../peers/graphile.ts';
import { NoPeer } from '../peers/install.ts';
import type { QueuePeer } from '../peers/queue-peer.ts';

const SUBMIT_FOR_MS = 3_000;
const WARM_UP_MS = 1_500;
const LOOK_EVERY_MS = 25;

type WithPeer = (use: (peer: QueuePeer) => Promise<Figure[]>) => Promise<Figure[]>;

const PEERS: readonly (readonly [name: string, withPeer: WithPeer])[] = [
  ['BullMQ, appendfsync always', (use) => withBullmq('always', use)],
  ['BullMQ, appendfsync everysec', (use) => withBullmq('everysec', use)],
  ['graphile-worker, local queue', withGraphile],
];

/** The same work on other queues, one after the other. A peer that cannot be had is left out and named. */
export async function measurePeers(runCount: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, withPeer] of PEERS) {
    try {
      figures.push(...(await withPeer((peer) => measure(name, peer, runCount))));
    } catch (error) {
      if (!(error instanceof NoPeer)) throw error;
      console.error(`${name} is not measured: ${error.message}`);
    }
  }
  return figures;
}

async function measure(name: string, peer: QueuePeer, runCount: number): Promise<Figure[]> {
  const one = () => peer.submit().then(() => 1);
  const many = () => peer.submitMany(BULK_JOBS).then(() => BULK_JOBS);
  await rate(peer, { inFlight: IN_FLIGHT, durationMs: WARM_UP_MS }, one);
  const flows = [
    [`${name}: single submits, ${IN_FLIGHT} in flight`, IN_FLIGHT, one],
    [`${name}: bulks of ${BULK_JOBS}`, BULKS_IN_FLIGHT, many],
  ] as const;
  const figures: Figure[] = [];
  for (const [what, inFlight, submit] of flows) {
    const runs = await repeat(runCount, () => rate(peer, { inFlight, durationMs: SUBMIT_FOR_MS }, submit));
    figures.push(figure(what, 'jobs/s', runs));
  }
  return figures;
}

/** @returns jobs a second, from the first submit until none is unfinished. */
async function rate(
  peer: QueuePeer,
  flow: { readonly inFlight: number; readonly durationMs: number },
  submit: () => Promise<number>,
): Promise<number> {
  const startedMs = performance.now();
  let count = 0;
  await inFlightFor(flow, async () => {
    const submitted = await submit(); // others count meanwhile
    count += submitted;
  });
  while ((await peer.unfinishedCount()) > 0) await pause(LOOK_EVERY_MS);
  return (count / (performance.now() - startedMs)) * 1_000;
}
