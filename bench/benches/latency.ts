import type { RpcClient } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { inFlightFor, oneByOne } from '../load.ts';
import { SEATS, withMesh } from '../meshes.ts';
import { quantile } from '../statistics.ts';

const CALLS = 500;
const WARM_UP_CALLS = 200;
const IN_FLIGHT = 100;
const WRITE_FOR_MS = 3_000;

export const submitLatency: Bench = {
  name: 'submit',
  method: `${CALLS} job.submit of an echo job, one at a time: from writing the line to reading the durable answer.`,
  run: ({ runCount }) =>
    atEverySeat(runCount, 'submit', (client) => client.call('job.submit', { type: 'echo', payload: 0 })),
};

export const kv: Bench = {
  name: 'kv',
  method:
    `kv.put of 10 bytes: ${CALLS} one at a time, then ${IN_FLIGHT} in flight for ${WRITE_FOR_MS / 1_000} s; kv.get, linearizable: ` +
    `${CALLS} one at a time.`,
  async run({ runCount }) {
    const put = (client: RpcClient, number: number) =>
      client.call('kv.put', { key: `bench/${number % 1_000}`, value: '0123456789' });
    const get = (client: RpcClient, number: number) =>
      client.call('kv.get', { key: `bench/${number % 1_000}` });
    const flow = { inFlight: IN_FLIGHT, durationMs: WRITE_FOR_MS };
    const rates: Figure[] = [];
    for (const seat of SEATS) {
      await withMesh(seat.agentCount, async (mesh) => {
        using client = await seat.pick(mesh).connect();
        await oneByOne(WARM_UP_CALLS, (number) => put(client, number));
        const runs = await repeat(runCount, () => inFlightFor(flow, (number) => put(client, number)));
        const perSecond = runs.map(({ count, elapsedMs }) => (count / elapsedMs) * 1_000);
        rates.push(figure(`${seat.name}: puts, ${IN_FLIGHT} in flight`, 'writes/s', perSecond));
      });
    }
    return [
      ...(await atEverySeat(runCount, 'put', put)),
      ...(await atEverySeat(runCount, 'get', get)),
      ...rates,
    ];
  },
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
