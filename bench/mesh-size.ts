/**
 * What a mesh of many real agents costs on one machine: memory, idle processor time and bytes written per agent, the time until every agent
 * knows every other one, jobs submitted at random agents that are to run on random nodes, and how long all take to end when they are told to at once.
 *
 *   node bench/mesh-size.ts [--agents 60] [--jobs 500] [--idle-seconds 30] [--at-once 2]
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Agent, Cluster, processesWith, type Ticket, until } from '../test/e2e/harness/index.ts';
import { describeMachine } from './machine.ts';
import { privateMB } from './processes.ts';
import { median, quantile, round } from './statistics.ts';

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: process.env['ASPEN_BENCH_AGENTS'] ?? '60' },
    jobs: { type: 'string', default: '500' },
    'idle-seconds': { type: 'string', default: '30' },
    'at-once': { type: 'string', default: '2' },
  },
});
const agentCount = Number(values.agents);
const jobCount = Number(values.jobs);
const idleSeconds = Number(values['idle-seconds']);
const startingAtOnce = Number(values['at-once']);

/** Where many start on few cores. */
const START_CAP_MS = 600_000;
const KNOWN_POLL_MS = 250;
const KNOWN_CAP_MS = 300_000;
/** After everybody is known, links and round trips settle. */
const SETTLE_MS = 20_000;
const JOB_CAP_MS = 60_000;
/** Jobs are submitted one after the other, so that what is measured is the way and not a queue. */
const ENV = { ASPEN_LOG_LEVEL: 'warn', ASPEN_SLOTS: '10' };

interface Listed {
  readonly nodes: readonly {
    readonly peerId: string;
    readonly name: string | null;
    readonly isAlive: boolean;
  }[];
}

const machine = describeMachine();
console.log(
  `${machine.cpu}, ${machine.coreCount} cores, ${machine.memoryGiB} GiB of memory; ${machine.kernel}, Node ${machine.node}`,
);
console.log(`load of the machine by other work when the bench began: ${machine.loadBefore}`);

await using cluster = new Cluster();
const begunMs = performance.now();
const agents: Agent[] = [];
try {
  await measure();
} catch (error) {
  console.error(error); // what ending the agents fails with would hide it
  process.exitCode = 1;
}

async function measure(): Promise<void> {
  agents.push(...(await startAll()));
  say('until the last agent had started', `${since(begunMs)} s`);
  await untilKnown(agents, 'all');
  say('until every agent knew every other one, from the first start', `${since(begunMs)} s`);
  await joinOneMore();
  await pause(SETTLE_MS);
  await idle();
  await jobs();
  await loseOne();
  await stopAll();
}

/** One founds the mesh; the others join through its ticket, so many at a time. */
async function startAll(): Promise<Agent[]> {
  const all = Array.from({ length: agentCount - 1 }, (_, at) =>
    cluster.add(`n${at + 1}`, { env: ENV, startCapMs: START_CAP_MS }),
  );
  const [founder, ...others] = all as [Agent, ...Agent[]];
  await founder.up();
  const { ticket } = await founder.call<Ticket>('mesh.ticket', { uses: agentCount });
  const waiting = [...others];
  const starter = async () => {
    for (let agent = waiting.shift(); agent !== undefined; agent = waiting.shift()) await agent.join(ticket);
  };
  await Promise.all(Array.from({ length: startingAtOnce }, starter));
  return all;
}

/** Each agent is asked until it lists everybody as alive, one agent after the other, so that asking costs little. */
async function untilKnown(those: readonly Agent[], whom: 'all' | string): Promise<void> {
  for (const agent of those) {
    await until(
      async () => {
        const { nodes } = await agent.call<Listed>('node.list', {}, 30_000);
        const known = nodes.filter(({ name, isAlive }) => name !== null && isAlive);
        return whom === 'all'
          ? known.length === cluster.agents.length
          : known.some(({ peerId }) => peerId === whom);
      },
      { what: `${agent.name} to know ${whom}`, timeoutMs: KNOWN_CAP_MS, everyMs: KNOWN_POLL_MS },
    );
  }
}

/** The usual case: the mesh is there, and somebody comes. */
async function joinOneMore(): Promise<void> {
  const newcomer = cluster.add(`n${agentCount}`, { env: ENV, startCapMs: START_CAP_MS });
  const founder = agents[0] as Agent;
  const { ticket } = await founder.call<Ticket>('mesh.ticket', { uses: 1 });
  const startedMs = performance.now();
  await newcomer.join(ticket);
  say('one more agent: until it had started', `${since(startedMs)} s`);
  await Promise.all([untilKnown(agents, newcomer.peerId), untilKnown([newcomer], 'all')]);
  say('one more agent: until all knew it and it knew all, from its start', `${since(startedMs)} s`);
  agents.push(newcomer);
}

async function idle(): Promise<void> {
  const before = agents.map(({ pid }) => ({ cpu: cpuSeconds(pid), written: bytesWritten(pid) }));
  const startedMs = performance.now();
  await pause(idleSeconds * 1_000);
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpu = agents.map(({ pid }, at) => ((cpuSeconds(pid) - (before[at]?.cpu ?? 0)) / seconds) * 100);
  const written = agents.map(
    ({ pid }, at) => (bytesWritten(pid) - (before[at]?.written ?? 0)) / seconds / 1_000,
  );
  const memory = agents.map(({ pid }) => privateMB(pid));
  const inAll = processesWith(`ASPEN_E2E_CLUSTER=${cluster.directory}`).map(privateMBOrNone);
  const links = await Promise.all(agents.map(async (agent) => (await agent.status()).peers));
  const { group } = await (agents[0] as Agent).status();
  const leader = agents.findIndex(({ peerId }) => peerId === group.leader);
  say('links of an agent', spread(links, ''));
  say('private memory of an agent', spread(memory, 'MB'));
  say(
    'private memory of all processes',
    `${round(inAll.reduce((sum, each) => sum + each, 0))} MB in ${inAll.length}`,
  );
  say('idle processor time of an agent', spread(cpu, '% of a core'));
  say('idle processor time of the leader', `${round(cpu[leader] ?? Number.NaN)} % of a core`);
  say('idle processor time of all agents', `${round(cpu.reduce((sum, each) => sum + each, 0))} % of a core`);
  say('idle: written by an agent, to sockets and files', spread(written, 'kB/s'));
}

async function jobs(): Promise<void> {
  const times: number[] = [];
  const firstMs = performance.now();
  for (let count = 0; count < jobCount; count += 1) {
    const at = pick(agents);
    const on = pick(agents).peerId;
    const startedMs = performance.now();
    const { id } = await at.submit({
      type: 'echo',
      payload: count,
      affinity: { node: { peerId: on, mode: 'require' } },
    });
    const job = await at.waitForJob(id, JOB_CAP_MS);
    times.push(performance.now() - startedMs);
    if (job.state !== 'succeeded' || job.node !== on)
      throw new Error(`job ${id} is ${job.state} on ${job.node}, not on ${on}`);
  }
  say(`${jobCount} echo jobs, one at a time, from random agents to random nodes`, `${since(firstMs)} s`);
  say(
    'job submitted, run there and told: p50, p99',
    `${round(quantile(times, 0.5))} ms, ${round(quantile(times, 0.99))} ms`,
  );
}

/** Until every other agent takes a killed one for silent. */
async function loseOne(): Promise<void> {
  const { group } = await (agents[0] as Agent).status();
  const lost = agents.findLast(({ peerId }) => !group.voters.includes(peerId)) as Agent;
  const others = agents.filter((agent) => agent !== lost);
  const startedMs = performance.now();
  await lost.kill9();
  for (const agent of others) {
    await until(
      async () => {
        const { nodes } = await agent.call<Listed>('node.list', {}, 30_000);
        return nodes.some(({ peerId, isAlive }) => peerId === lost.peerId && !isAlive);
      },
      { what: `${agent.name} to miss ${lost.name}`, timeoutMs: KNOWN_CAP_MS, everyMs: KNOWN_POLL_MS },
    );
  }
  say('one agent killed: until every other one took it for silent', `${since(startedMs)} s`);
}

/** Nobody has anybody left to hand over to. */
async function stopAll(): Promise<void> {
  const running = agents.filter(({ isRunning }) => isRunning);
  const startedMs = performance.now();
  for (const agent of running) agent.signal('SIGTERM');
  await Promise.all(running.map((agent) => agent.ended({ timeoutMs: START_CAP_MS })));
  say('all told to stop at once: until the last one had ended', `${since(startedMs)} s`);
}

function say(what: string, figure: string): void {
  console.log(`${what.padEnd(72)} ${figure}   (load ${loadavg()[0]?.toFixed(1)})`);
}

function since(startedMs: number): number {
  return round((performance.now() - startedMs) / 1_000);
}

function spread(each: readonly number[], unit: string): string {
  return `${round(median(each))} ${unit} (${round(Math.min(...each))} to ${round(Math.max(...each))})`;
}

function pick(from: readonly Agent[]): Agent {
  return from[Math.floor(Math.random() * from.length)] as Agent;
}

function privateMBOrNone(pid: number): number {
  try {
    return privateMB(pid);
  } catch {
    return 0; // it ended meanwhile
  }
}

function bytesWritten(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** Of user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
