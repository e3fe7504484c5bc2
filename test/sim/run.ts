/**
 * Lives of whole meshes under every fault.
 *
 *   node test/sim/run.ts [--seeds 300] [--first 1] [--workers 2] [--bug NAME] [--weather NAME]
 *       many seeds; one line for each that fails, and the command that replays what is left of it when it was made smaller
 *   node test/sim/run.ts --seed N [--print] [--trace] [--bug NAME] [--weather NAME]   one seed again; --print tells its story, --trace all that was observed
 *       [--nodes N] [--for MS] [--steps 0,3,5 | none]                           less of it: fewer nodes, shorter, only these steps of its plan
 *       [--shrink]                                                              looks for less that fails in the same way
 *
 * Weathers are in `world/weathers.ts`: plans with more faults at one time, more nodes, more time, or more of one kind.
 *
 * Exit codes: 0 ok, 1 a law was broken, 2 accepted work did not finish in time, 3 an agent or the world failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXIT_CODES } from './world/outcome.ts';
import { type Reduction, reductionFlags } from './world/reduction.ts';
import { shrink } from './world/shrink.ts';
import { type Run, type SimulateOptions, simulate } from './world/simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    first: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    weather: { type: 'string' },
    print: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    nodes: { type: 'string' },
    for: { type: 'string' },
    steps: { type: 'string' },
  },
});

/** Failing seeds of one process that are made smaller; more of them say little more. */
const SHRUNK_LIMIT = 2;

const { bug: bugName, weather: weatherName } = values;
const options: SimulateOptions = {
  ...(values.print && { printing: 'story' }),
  ...(values.trace && { printing: 'all' }),
  ...(bugName !== undefined && { bugName }),
  weatherName,
  reduction: reductionOf(values),
};
const [first, seedCount] = [Number(values.first), Number(values.seeds)];
const workerCount = Math.min(Number(values.workers), seedCount);

if (values.seed !== undefined) await runOne(Number(values.seed));
else if (workerCount > 1) await runInWorkers();
else process.exitCode = await runRange();

async function runOne(seed: number): Promise<void> {
  const run = await simulate(seed, options);
  if (run.outcome !== 'ok') {
    if (options.printing === undefined) for (const line of run.lastLines) console.log(line);
    console.log(run.error);
    if (values.shrink) console.log(await smaller(run));
  }
  console.log(`seed ${seed}: ${run.outcome}, ${run.summary}, hash ${run.hash}`);
  process.exitCode = EXIT_CODES[run.outcome];
}

/** What a worker tells whoever started it, after each seed. */
interface Tally {
  readonly ranCount: number;
  readonly failedCount: number;
}

/** @returns the exit code of the worst seed. */
async function runRange(): Promise<number> {
  let worst = 0;
  let failedCount = 0;
  for (let seed = first; seed < first + seedCount; seed += 1) {
    const run = await simulate(seed, options);
    if (run.outcome !== 'ok') {
      failedCount += 1;
      console.log(failureOf(run));
      if (failedCount <= SHRUNK_LIMIT) console.log(await smaller(run));
    }
    worst = Math.max(worst, EXIT_CODES[run.outcome]);
    process.send?.({ failedCount, ranCount: seed - first + 1 } satisfies Tally);
  }
  return worst;
}

function failureOf({ seed, outcome, error }: Run): string {
  const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  return `seed ${seed}: ${outcome}: ${why} | again: ${commandOf(seed)}`;
}

function commandOf(seed: number, reduction: Reduction = {}): string {
  const words = ['node test/sim/run.ts', `--seed ${seed}`, ...kindFlags()];
  return `${words.join(' ')}${reductionFlags(reduction)}`;
}

/** Which kind of runs these are. */
function kindFlags(): readonly string[] {
  return [
    ...(bugName === undefined ? [] : ['--bug', bugName]),
    ...(weatherName === undefined ? [] : ['--weather', weatherName]),
  ];
}

/** @returns the command that replays less of a failing run. */
async function smaller({ seed, outcome, nodeCount, stepCount, faultsMs }: Run): Promise<string> {
  const attempt = async (reduction: Reduction) =>
    (await simulate(seed, { ...options, printing: undefined, reduction })).outcome;
  const reduction = await shrink({ outcome, nodeCount, stepCount, forMs: faultsMs }, attempt);
  return `  smaller: ${commandOf(seed, reduction)} --print`;
}

function reductionOf({ nodes, for: forMs, steps }: typeof values): Reduction {
  return {
    ...(nodes !== undefined && { nodeCount: Number(nodes) }),
    ...(forMs !== undefined && { forMs: Number(forMs) }),
    ...(steps !== undefined && { steps: steps === 'none' ? [] : steps.split(',').map(Number) }),
  };
}

/** Each worker is a process of its own with its part of the seeds. */
async function runInWorkers(): Promise<void> {
  const startedMs = performance.now();
  const parts = Array.from({ length: workerCount }, (_, at) => {
    const from = first + Math.floor((seedCount * at) / workerCount);
    const to = first + Math.floor((seedCount * (at + 1)) / workerCount);
    return startWorker(from, to - from);
  });
  const results = await Promise.all(parts);
  const failed = results.reduce((sum, { failedCount }) => sum + failedCount, 0);
  const ran = results.reduce((sum, { ranCount }) => sum + ranCount, 0);
  const took = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const missing = ran === seedCount ? '' : `, ${seedCount - ran} not run: a worker broke off`;
  console.log(`${seedCount} seeds from ${first}: ${ran - failed} ok, ${failed} failed${missing}, ${took} s`);
  process.exitCode = Math.max(...results.map(({ exitCode }) => exitCode));
}

async function startWorker(from: number, count: number): Promise<Tally & { readonly exitCode: number }> {
  const args = ['--first', String(from), '--seeds', String(count), '--workers', '1'];
  const child: ChildProcess = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), ...args, ...kindFlags()],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  let tally: Tally = { ranCount: 0, failedCount: 0 };
  child.on('message', (told) => {
    tally = told as Tally;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { ...tally, exitCode: code ?? EXIT_CODES.crashed };
}
