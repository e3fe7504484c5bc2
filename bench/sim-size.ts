/**
 * A mesh of many nodes in virtual time, on a wire in memory: one whole agent that founds the mesh and leads it, and nodes that are all of an agent
 * that membership costs: identity, gate, links, registry, session. What arrives, when and how much follows from the seed; processor time is real.
 *
 *   node --max-old-space-size=8000 bench/sim-size.ts [--nodes 10,100,1000] [--per-second 20] [--idle-seconds 30] [--settle-seconds 100] [--seed 1]
 */
import { parseArgs } from 'node:util';
import { SizedMesh } from './simulated-mesh.ts';
import { median, round } from './statistics.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,100,1000' },
    'per-second': { type: 'string', default: '20' },
    'idle-seconds': { type: 'string', default: '30' },
    /** Before the one more node and before idling: long enough for links that nobody needs to go. */
    'settle-seconds': { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});
/** After the one more node. */
const REST_MS = 10_000;
const KNOWN_CAP_MS = 600_000;
const settleMs = Number(values['settle-seconds']) * 1_000;

for (const count of values.nodes.split(',').map(Number)) await measure(count);

async function measure(count: number): Promise<void> {
  const begunMs = performance.now();
  const usedBefore = process.cpuUsage();
  const mesh = new SizedMesh(Number(values.seed));
  say(`${count} nodes, ${values['per-second']} of them started a second`, '');
  await mesh.found();
  await mesh.grow(count - 2, Number(values['per-second']));
  const knownMs = await mesh.until(() => mesh.isComplete(), KNOWN_CAP_MS);
  say('everybody known everywhere, after the last one had started', seconds(knownMs));
  await mesh.advance(settleMs);
  await mesh.grow(1, 1);
  say(
    'one more node: known everywhere, and knows everybody',
    seconds(await mesh.until(() => mesh.isComplete(), KNOWN_CAP_MS)),
  );
  await mesh.advance(REST_MS);

  const links = mesh.linkCounts();
  say(
    'links of a node, the leader not counted',
    `${round(median(links))} (${Math.min(...links)} to ${Math.max(...links)})`,
  );
  const idle = await mesh.observe(Number(values['idle-seconds']) * 1_000);
  say(
    'idle: sent by a node',
    `${round(median(idle.bytesPerSecond) / 1_000)} kB/s, ${round(median(idle.messagesPerSecond))} messages/s`,
  );
  say(
    'idle: sent by the leader',
    `${round(idle.leader.bytesPerSecond / 1_000)} kB/s, ${round(idle.leader.messagesPerSecond)} messages/s`,
  );
  say('idle: processor time of the leader', `${round(idle.leader.cpuShare * 100)} % of a core`);
  if (mesh.sessionCount() < count - 1)
    throw new Error(`${mesh.sessionCount()} of ${count - 1} nodes hold a session`);
  mesh.endSessions();
  const without = await mesh.observe(10_000);
  const share = Math.max(0, idle.leader.cpuShare - without.leader.cpuShare);
  say(
    'idle: of it for sessions',
    `${round(share * 100)} % of a core, ${round((share / count) * 1e6)} us a renewal`,
  );

  const lost = mesh.crashOne();
  say(
    'one node dies: taken for silent everywhere',
    seconds(await mesh.until(() => mesh.isMissedEverywhere(lost), KNOWN_CAP_MS)),
  );
  say(
    'the simulation took',
    `${round((performance.now() - begunMs) / 1_000)} s, ${round(cpuSeconds(usedBefore))} s of a core, ${round(process.memoryUsage().rss / 1e6)} MB`,
  );
}

function cpuSeconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? `not within ${KNOWN_CAP_MS / 1_000} s` : `${round(ms / 1_000)} s`;
}

function say(what: string, figure: string): void {
  console.log(figure === '' ? `\n${what}` : `  ${what.padEnd(64)} ${figure}`);
}
