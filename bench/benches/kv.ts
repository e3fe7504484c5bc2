import type { RpcClient } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { inFlightFor, oneByOne } from '../load.ts';
import { SEATS, withMesh } from '../meshes.ts';
import { type EtcdClient, withEtcd } from '../peers/etcd.ts';
import { NoPeer } from '../peers/install.ts';
import { quantile } from '../statistics.ts';

const CALLS = 500;
const WARM_UP_CALLS = 300;
const IN_FLIGHT = 100;
const WRITE_FOR_MS = 3_000;
const KEYS = 1_000;
const VALUE = '0123456789';

/** What is measured of each system, by the same code. */
interface KvTarget {
  put(number: number): Promise<unknown>;
  cas(number: number): Promise<unknown>;
  get(number: number): Promise<unknown>;
}

export const kv: Bench = {
  name: 'kv',
  method:
    `put and compare-and-set of ${VALUE.length} bytes, and a linearizable get: ${CALLS} one at a time; then puts and compare-and-sets, ` +
    `${IN_FLIGHT} in flight for ${WRITE_FOR_MS / 1_000} s. ${KEYS} keys, written before. etcd of Debian with its defaults, which sync like this ` +
    'project does, on the same loopback and disk; its client talks gRPC, ours to the socket of its machine.',
  async run({ runCount }) {
    const figures: Figure[] = [];
    for (const seat of SEATS) {
      await withMesh(seat.agentCount, async (mesh) => {
        using client = await seat.pick(mesh).connect();
        figures.push(...(await measure(seat.name, targetOf(client), runCount)));
      });
    }
    for (const memberCount of [1, 3] as const) figures.push(...(await measureEtcd(memberCount, runCount)));
    return figures;
  },
};

async function measureEtcd(memberCount: 1 | 3, runCount: number): Promise<Figure[]> {
  const name = memberCount === 1 ? 'etcd, one member' : 'etcd, three members';
  try {
    return await withEtcd(memberCount, (client) => measure(name, targetOfEtcd(client), runCount));
  } catch (error) {
    if (!(error instanceof NoPeer)) throw error;
    console.error(`${name} is not measured: ${error.message}`);
    return [];
  }
}

async function measure(name: string, target: KvTarget, runCount: number): Promise<Figure[]> {
  for (let number = 0; number < KEYS; number += 1) await target.put(number);
  const figures: Figure[] = [];
  for (const what of ['put', 'cas', 'get'] as const) {
    await oneByOne(WARM_UP_CALLS, (number) => target[what](number));
    const runs = await repeat(runCount, () => oneByOne(CALLS, (number) => target[what](number)));
    figures.push(
      figure(
        `${name}: ${what} p50`,
        'ms',
        runs.map((times) => quantile(times, 0.5)),
      ),
    );
    figures.push(
      figure(
        `${name}: ${what} p99`,
        'ms',
        runs.map((times) => quantile(times, 0.99)),
      ),
    );
  }
  for (const what of ['put', 'cas'] as const) {
    const flow = { inFlight: IN_FLIGHT, durationMs: WRITE_FOR_MS };
    const runs = await repeat(runCount, () => inFlightFor(flow, (number) => target[what](number)));
    const perSecond = runs.map(({ count, elapsedMs }) => (count / elapsedMs) * 1_000);
    figures.push(figure(`${name}: ${what}, ${IN_FLIGHT} in flight`, 'writes/s', perSecond));
  }
  return figures;
}

const keyOf = (number: number) => `bench/${number % KEYS}`;

function targetOf(client: RpcClient): KvTarget {
  return {
    put: (number) => client.call('kv.put', { key: keyOf(number), value: VALUE }),
    cas: (number) =>
      client.call('kv.cas', { key: keyOf(number), expected: VALUE, value: VALUE }).then(swapped),
    get: (number) => client.call('kv.get', { key: keyOf(number) }),
  };
}

function targetOfEtcd(client: EtcdClient): KvTarget {
  return {
    put: (number) => client.put(keyOf(number), VALUE),
    cas: async (number) => swapped({ swapped: await client.cas(keyOf(number), VALUE, VALUE) }),
    get: (number) => client.get(keyOf(number)),
  };
}

function swapped(answer: unknown): void {
  if ((answer as { readonly swapped: boolean }).swapped !== true)
    throw new Error('a compare-and-set found another value');
}
