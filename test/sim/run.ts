/**
 * Lives of whole meshes under every fault: `node test/sim/run.ts [--seeds N] [--first K] [--seed N [--trace]] [--bug NAME] [--jobs N]`.
 * Exit codes: 0 ok, 1 a law was broken, 2 accepted work did not finish, 3 an agent or the world failed.
 */
import { parseArgs } from 'node:util';
import { EXIT_CODES, type Outcome } from './world/outcome.ts';
import { type Run, simulate } from './world/simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const bugName = values.bug;
const options = { isPrinting: values.trace, ...(bugName !== undefined && { bugName }) };

if (values.seed === undefined) await runMany(Number(values.first), Number(values.seeds));
else await runOne(Number(values.seed));

async function runOne(seed: number): Promise<void> {
  const run = await simulate(seed, options);
  console.log(`seed ${seed}: ${run.outcome}, ${run.summary}, hash ${run.hash}`);
  if (run.outcome !== 'ok') console.log(run.error);
  process.exitCode = EXIT_CODES[run.outcome];
}

async function runMany(first: number, count: number): Promise<void> {
  const worst: Outcome[] = [];
  for (let seed = first; seed < first + count; seed += 1) {
    const run = await simulate(seed, options);
    if (run.outcome === 'ok') continue;
    worst.push(run.outcome);
    console.log(failureOf(run));
  }
  console.log(`${count} seeds from ${first}: ${count - worst.length} ok, ${worst.length} failed`);
  process.exitCode = Math.max(0, ...worst.map((outcome) => EXIT_CODES[outcome]));
}

function failureOf({ seed, outcome, error }: Run): string {
  const bug = bugName === undefined ? '' : ` --bug ${bugName}`;
  const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  return `seed ${seed}: ${outcome}: ${why} | again: node test/sim/run.ts --seed ${seed}${bug}`;
}
