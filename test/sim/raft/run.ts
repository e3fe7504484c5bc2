/**
 * Lives of the pure core under every fault: `node test/sim/raft/run.ts [--seeds N] [--first N] [--seed N] [--bug NAME] [--trace]`.
 * Exit codes: 0 ok, 1 a law was broken, 2 accepted work did not finish, 3 the core stopped itself.
 */
import { parseArgs } from 'node:util';
import { EXIT_CODES, type Run, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const options = { isPrinting: values.trace, ...(values.bug === undefined ? {} : { bugName: values.bug }) };
const first = Number(values.seed ?? values.first);
const count = values.seed === undefined ? Number(values.seeds) : 1;
let failed: Run | undefined;
for (let seed = first; seed < first + count && failed === undefined; seed += 1) {
  const run = simulate(seed, options);
  if (count === 1) console.log(`seed ${seed}: ${run.outcome}, ${run.summary}, hash ${run.hash}`);
  if (run.outcome !== 'ok') failed = run;
}
if (failed === undefined) {
  console.log(`${count} seeds from ${first}: ok`);
} else {
  for (const line of failed.lastLines) console.log(line);
  console.log(`seed ${failed.seed}: ${failed.outcome}:`, failed.error);
  process.exitCode = EXIT_CODES[failed.outcome];
}
