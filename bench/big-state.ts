/**
 * What a big state costs: a restart of all agents over it, and a newcomer that receives it while writes go on.
 *
 *   node bench/big-state.ts --agents 3 --keys 1000000 --bytes 1000
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Agent, Cluster, leaderAndFollowers } from '../test/e2e/harness/index.ts';
import { describeMachine } from './machine.ts';
import { quantile } from './statistics.ts';

const IN_FLIGHT = 200;
const SAMPLE_MS = 200;
const QUIET_PUTS_MS = 3_000;
const WRITE_PAUSE_MS = 5;

interface Standing {
  readonly group: { readonly role: string; readonly appliedIndex: number };
}

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '1' },
    keys: { type: 'string', default: '500000' },
    bytes: { type: 'string', default: '1000' },
  },
});
const keyCount = Number(values.keys);
const value = 'v'.repeat(Number(values.bytes));

console.log(JSON.stringify(describeMachine()));
await using cluster = new Cluster();
const env = { ASPEN_LOG_LEVEL: 'info' };
const names = ['a', 'b', 'c', 'd', 'e'].slice(0, Number(values.agents));
const agents = await cluster.mesh(names, { env });
await fill(await leaderOf(agents));
await restart(agents);
await bringIn(await leaderOf(agents));

async function leaderOf(members: readonly Agent[]): Promise<Agent> {
  const [only] = members as [Agent];
  return members.length === 1 ? only : (await leaderAndFollowers(members)).leader;
}

async function fill(agent: Agent): Promise<void> {
  using client = await agent.connect();
  const startedMs = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < keyCount) {
      const key = `big/${next++}`;
      await client.call('kv.put', { key, value });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - startedMs) / 1_000;
  say(`${keyCount} keys of ${value.length} bytes written in ${seconds.toFixed(1)} s; ${memory(agent)}`);
}

/** All of them at once, as after a power cut. */
async function restart(members: readonly Agent[]): Promise<void> {
  await Promise.all(members.map((agent) => agent.kill9()));
  const startedMs = performance.now();
  await Promise.all(members.map((agent) => agent.up()));
  const answeredMs = performance.now() - startedMs;
  const [first] = members as [Agent];
  await first.call('kv.put', { key: 'after', value: 'x' }, 60_000);
  const writtenMs = performance.now() - startedMs;
  say(
    `all killed and started: answer after ${answeredMs.toFixed(0)} ms, wrote after ${writtenMs.toFixed(0)} ms; ` +
      members.map(memory).join(', '),
  );
}

async function bringIn(leader: Agent): Promise<void> {
  say(`puts before: ${latencies(await putsWhile(leader, pause(QUIET_PUTS_MS)))}`);
  const { ticket } = await leader.call<{ ticket: string }>('mesh.ticket', { uses: 1 });
  const newcomer = cluster.add('new', { env });
  await newcomer.join(ticket);
  const startedMs = performance.now();
  const most = { leader: 0, newcomer: 0 };
  const times = await putsWhile(leader, caughtUp(leader, newcomer, most));
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  say(
    `newcomer caught up in ${seconds} s; private memory at most: leader ${most.leader} MB, newcomer ${most.newcomer} MB`,
  );
  say(`puts meanwhile: ${latencies(times)}`);
}

async function caughtUp(
  leader: Agent,
  newcomer: Agent,
  most: { leader: number; newcomer: number },
): Promise<void> {
  for (;;) {
    await pause(SAMPLE_MS);
    most.leader = Math.max(most.leader, privateMB(leader));
    most.newcomer = Math.max(most.newcomer, privateMB(newcomer));
    const target = (await leader.call<Standing>('agent.status')).group.appliedIndex;
    const { group } = await newcomer.call<Standing>('agent.status');
    if (group.role !== 'spare' && group.appliedIndex > 0 && group.appliedIndex + 500 >= target) return;
  }
}

/** One at a time, with a pause, as long as `until` is pending. @returns how long each put took. Unit: ms. */
async function putsWhile(agent: Agent, until: Promise<unknown>): Promise<number[]> {
  using client = await agent.connect();
  const times: number[] = [];
  let isOver = false;
  const over = until.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const before = performance.now();
    await client.call('kv.put', { key: 'probe', value: 'x' });
    times.push(performance.now() - before);
    await pause(WRITE_PAUSE_MS);
  }
  await over;
  return times;
}

function latencies(times: readonly number[]): string {
  const at = (share: number): string => `${quantile([...times], share).toFixed(2)} ms`;
  return `${times.length}, p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${Math.max(...times).toFixed(0)} ms`;
}

function memory(agent: Agent): string {
  return `private memory ${privateMB(agent)} MB`;
}

/** Anonymous memory only: the mapped pages of the store belong to the page cache. Unit: MB. */
function privateMB({ pid }: Agent): number {
  const found = /^Anonymous:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Math.round(Number(found?.[1]) / 1_024);
}

function say(line: string): void {
  console.log(line);
}
