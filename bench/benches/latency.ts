import type { RpcClient } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { oneByOne } from '../load.ts';
import { SEATS, withMesh } from '../meshes.ts';
import { quantile } from '../statistics.ts';

const CALLS = 500;
const WARM_UP_CALLS = 200;

export const submitLatency: Bench = {
  name: 'submit',
  method: `${CALLS} job.submit of an echo job, one at a time: from writing the line to reading the durable answer.`,
  run: ({ runCount }) =>
    atEverySeat(runCount, 'submit', (client) => client.call('job.submit', { type: 'echo', payload: 0 })),
};

async function atEverySeat(
  runCount: number,
  what: string,
  call: (client: RpcClient, number: number) => Promise<unknown>,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const seat of SEATS) {
    await withMesh(seat.agentCount, async (mesh) => {
      using client = await seat.pick(mesh).connect();
      await oneByOne(WARM_UP_CALLS, (number) => call(client, number));
      const runs = await repeat(runCount, () => oneByOne(CALLS, (number) => call(client, number)));
      for (const [name, share] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const values = runs.map((times) => quantile(times, share));
        figures.push(figure(`${seat.name}: ${what} ${name}`, 'ms', values));
      }
    });
  }
  return figures;
}
