/**
 * Measures real agents, as processes of their own, through their sockets.
 *
 *   npm run bench                        everything
 *   npm run bench -- submit kv           only these
 *   npm run bench -- -o json --runs 5    for programs; more runs
 */
import { parseArgs } from 'node:util';
import type { Bench } from './bench.ts';
import { backlog } from './benches/backlog.ts';
import { blobs } from './benches/blobs.ts';
import { failover } from './benches/failover.ts';
import { finished } from './benches/finished.ts';
import { footprint } from './benches/footprint.ts';
import { jobs } from './benches/jobs.ts';
import { kv } from './benches/kv.ts';
import { submitLatency } from './benches/latency.ts';
import { plan } from './benches/plan.ts';
import { shell } from './benches/shell.ts';
import { startLatency } from './benches/start.ts';
import { throughput } from './benches/throughput.ts';
import { describeMachine } from './machine.ts';
import { FORMATS, type Format, type Measured } from './report.ts';

const BENCHES: readonly Bench[] = [
  throughput,
  jobs,
  submitLatency,
  startLatency,
  shell,
  kv,
  failover,
  footprint,
  plan,
  backlog,
  finished,
  blobs,
];
const DEFAULT_RUNS = 3;
const WRONG_USAGE = 2;

/** What the person at the keyboard can mend. */
class WrongUsage extends Error {}

try {
  await main();
} catch (error) {
  console.error(error instanceof WrongUsage ? error.message : error);
  process.exitCode = error instanceof WrongUsage ? WRONG_USAGE : 1;
}

async function main(): Promise<void> {
  const { chosen, format, runCount } = readArguments();
  const machine = describeMachine();
  const measured: Measured[] = [];
  for (const bench of chosen) {
    console.error(`measuring ${bench.name} ...`);
    measured.push({ bench, figures: await bench.run({ runCount }) });
  }
  console.log(FORMATS[format](machine, measured));
}

function readArguments(): { chosen: readonly Bench[]; format: Format; runCount: number } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: 'string', short: 'o', default: 'table' },
      runs: { type: 'string', default: String(DEFAULT_RUNS) },
    },
  });
  const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    throw new WrongUsage(
      `no bench "${unknown.join('", "')}"; there are ${BENCHES.map(({ name }) => name).join(', ')}`,
    );
  }
  const format = (Object.keys(FORMATS) as Format[]).find((name) => name === values.output);
  if (format === undefined) throw new WrongUsage(`-o is one of ${Object.keys(FORMATS).join(', ')}`);
  const runCount = Number(values.runs);
  if (!Number.isInteger(runCount) || runCount < 1) throw new WrongUsage('--runs is a whole number from 1 on');
  const chosen =
    positionals.length === 0 ? BENCHES : BENCHES.filter(({ name }) => positionals.includes(name));
  return { chosen, format, runCount };
}
