/**
 * What strangers in numbers cost the members of a mesh: three agents, one of them flooded from 250 addresses, jobs submitted one at a time at
 * another one meanwhile.
 *
 *   node bench/floods.ts [--seconds 15] [--connections 2000] [--per-second 2000] [kind ...]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Flood, type FloodKind, loopbackAddresses } from '../test/e2e/harness/flood.ts';
import { type Agent, Cluster } from '../test/e2e/harness/index.ts';

const KINDS: readonly FloodKind[] = [
  'half-open',
  'slow',
  'babble',
  'many-protocols',
  'false-handshake',
  'well-begun',
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '15' },
    connections: { type: 'string', default: '2000' },
    'per-second': { type: 'string', default: '2000' },
  },
});
const seconds = Number(values.seconds);
const kinds =
  positionals.length === 0
    ? KINDS
    : KINDS.flatMap((kind) => positionals.filter((name) => name === kind).map(() => kind));

await using cluster = new Cluster();
const agents = await cluster.mesh(['a', 'b', 'c']);
const [flooded, other] = agents as [Agent, Agent];
const { connectivity } = await flooded.call<{ connectivity: { addresses: string[] } }>('agent.status');
const [, , host = '', , port = ''] = (connectivity.addresses[0] ?? '').split('/');
console.log(
  `${'flood'.padEnd(16)} connections  job p50   job p99   cores of the agent  memory of its own  turned away`,
);
await measure('none', undefined);
for (const kind of kinds) {
  await using flood = new Flood({
    host,
    port: Number(port),
    kind,
    connections: Number(values.connections),
    perSecond: Number(values['per-second']),
    from: loopbackAddresses(250),
  });
  await measure(kind, flood);
}
await measure('none again', undefined);

async function measure(name: string, flood: Flood | undefined): Promise<void> {
  const cpuBefore = cpuSeconds(flooded.pid);
  const begun = performance.now();
  const times: number[] = [];
  let mostBytes = 0;
  while (performance.now() - begun < seconds * 1_000) {
    const at = performance.now();
    const { id } = await other.submit({ type: 'echo', payload: 1 });
    await other.call('job.wait', { id, timeoutMs: 60_000 });
    times.push(performance.now() - at);
    mostBytes = Math.max(mostBytes, privateBytes(flooded.pid));
  }
  times.sort((left, right) => left - right);
  const quantile = (share: number) =>
    `${(times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(1)} ms`;
  const cores = (cpuSeconds(flooded.pid) - cpuBefore) / ((performance.now() - begun) / 1_000);
  const { text } = await flooded.call<{ text: string }>('metrics.get', {
    format: 'text',
    prefix: 'aspen_connections',
  });
  const turnedAway = /^aspen_connections_turned_away_total (\d+)/m.exec(text)?.[1] ?? '0';
  console.log(
    [
      name.padEnd(16),
      String(flood?.begunCount ?? 0).padStart(11),
      quantile(0.5).padStart(9),
      quantile(0.99).padStart(9),
      cores.toFixed(2).padStart(19),
      `${(mostBytes / 2 ** 20).toFixed(0)} MiB`.padStart(18),
      turnedAway.padStart(12),
    ].join(' '),
  );
}

function privateBytes(pid: number): number {
  return 1_024 * Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Of user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
