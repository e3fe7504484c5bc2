import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, Cluster, READY_POLL_MS } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { withMesh } from '../meshes.ts';

const SETTLE_MS = 10_000;
const OBSERVE_MS = 10_000;
/** `/proc/<pid>/stat` counts in hundredths of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export const footprint: Bench = {
  name: 'footprint',
  method:
    `Start to ready: from starting the program to the first answer of agent.status, asked every ${READY_POLL_MS} ms. Idle: ${SETTLE_MS / 1_000} s ` +
    `after the start, anonymous memory from /proc/<pid>/smaps_rollup, and processor time over ${OBSERVE_MS / 1_000} s.`,
  async run({ runCount }) {
    const starts = await startTimes(Math.max(3, runCount));
    const alone = await withMesh(1, ({ agents }) => idle(agents));
    const together = await withMesh(3, ({ agents }) => idle(agents));
    return [
      figure('start to ready, first start (founds a mesh)', 's', starts.first),
      figure('start to ready, later start', 's', starts.later),
      ...idleFigures('one agent', alone),
      ...idleFigures('each of three agents', together),
    ];
  },
};

async function startTimes(count: number): Promise<{ readonly first: number[]; readonly later: number[] }> {
  const runs = await repeat(count, async () => {
    await using cluster = new Cluster();
    const agent = cluster.add('a');
    const first = await startSeconds(agent);
    await agent.stop();
    const later = await startSeconds(agent);
    return { first, later };
  });
  return { first: runs.map(({ first }) => first), later: runs.map(({ later }) => later) };
}

async function startSeconds(agent: Agent): Promise<number> {
  const startedMs = performance.now();
  await agent.up();
  return (performance.now() - startedMs) / 1_000;
}

interface Idle {
  readonly memoryMB: number;
  readonly cpuPercent: number;
}

async function idle(agents: readonly Agent[]): Promise<Idle[]> {
  await pause(SETTLE_MS);
  const before = agents.map(({ pid }) => cpuSeconds(pid));
  const startedMs = performance.now();
  await pause(OBSERVE_MS);
  const seconds = (performance.now() - startedMs) / 1_000;
  return agents.map(({ pid }, index) => ({
    memoryMB: anonymousMB(pid),
    cpuPercent: ((cpuSeconds(pid) - (before[index] as number)) / seconds) * 100,
  }));
}

function idleFigures(name: string, idles: readonly Idle[]): Figure[] {
  return [
    figure(
      `${name}: idle private memory`,
      'MB',
      idles.map(({ memoryMB }) => memoryMB),
    ),
    figure(
      `${name}: idle processor time`,
      '% of a core',
      idles.map(({ cpuPercent }) => cpuPercent),
    ),
  ];
}

/** Anonymous memory only: the mapped pages of the store belong to the page cache. */
function anonymousMB(pid: number): number {
  const line = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Anonymous:\s+(\d+) kB$/m);
  return (Number(line?.[1]) * 1_024) / 1e6;
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
