import type { Agent, Job, RpcClient, ShellResult, Submitted } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { type BenchMesh, withMesh } from '../meshes.ts';
import { quantile } from '../statistics.ts';

const JOBS = 100;
const WARM_UP_JOBS = 20;

export const startLatency: Bench = {
  name: 'start',
  method:
    `${JOBS} jobs, one at a time, each waited for, by the wall clock of this one machine. From before the submit to: startedAt of an echo ` +
    'job, which the leader writes when it assigns the attempt, in whole ms; the answer of job.wait for it, so there and back; and the time ' +
    'that a shell job running "date" prints, in ns, the start of its process included.',
  async run({ runCount }) {
    const figures: Figure[] = [];
    for (const place of PLACES) {
      await withMesh(place.agentCount, async (mesh) => {
        const { from, to } = place.pick(mesh);
        using client = await from.connect();
        for (const probe of PROBES) {
          await startTimesMs(client, to, probe, WARM_UP_JOBS);
          const runs = await repeat(runCount, () => startTimesMs(client, to, probe, JOBS));
          for (const [name, share] of [
            ['p50', 0.5],
            ['p99', 0.99],
          ] as const) {
            const values = runs.map((times) => quantile(times, share));
            figures.push(figure(`${place.name}: ${probe.name} ${name}`, 'ms', values));
          }
        }
      });
    }
    return figures;
  },
};

interface Place {
  readonly name: string;
  readonly agentCount: 1 | 3;
  pick(mesh: BenchMesh): { readonly from: Agent; readonly to: Agent };
}

const PLACES: readonly Place[] = [
  { name: 'one agent', agentCount: 1, pick: ({ leader }) => ({ from: leader, to: leader }) },
  {
    name: 'three agents, leader to follower',
    agentCount: 3,
    pick: ({ leader, followers }) => ({ from: leader, to: followers[0] as Agent }),
  },
  {
    name: 'three agents, follower to the other follower',
    agentCount: 3,
    pick: ({ followers }) => ({ from: followers[0] as Agent, to: followers[1] as Agent }),
  },
];

interface Probe {
  readonly name: string;
  readonly spec: object;
  /** The instant that is looked for, by the wall clock. `waitedMs` is when the job was known to be final. Unit: ms. */
  instantMs(job: Job, waitedMs: number): number;
}

const NO_OP = { type: 'echo', payload: 0 };

const PROBES: readonly Probe[] = [
  {
    name: 'echo assigned',
    spec: NO_OP,
    instantMs: ({ startedAt }) => Number(new Date(startedAt ?? Number.NaN)),
  },
  { name: 'echo final and told', spec: NO_OP, instantMs: (_, waitedMs) => waitedMs },
  {
    name: 'shell process runs',
    spec: { type: 'shell', payload: { command: 'date', args: ['+%s%N'] } },
    instantMs: ({ result }) => Number((result as ShellResult).stdout) / 1e6,
  },
];

function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

async function startTimesMs(client: RpcClient, to: Agent, probe: Probe, count: number): Promise<number[]> {
  const affinity = { node: { peerId: to.peerId, mode: 'require' } };
  const times: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const before = wallMs();
    const { id } = await client.call<Submitted>('job.submit', { ...probe.spec, affinity });
    const job = await client.call<Job>('job.wait', { id });
    const instantMs = probe.instantMs(job, wallMs());
    if (job.state !== 'succeeded' || Number.isNaN(instantMs)) throw new Error(`void: ${JSON.stringify(job)}`);
    times.push(Math.max(0, instantMs - before));
  }
  return times;
}
