/**
 * Lives of whole meshes under every fault.
 *
 *   node test/sim/run.ts [--seeds 300] [--first 1] [--workers 2] [--bug NAME]   many seeds; one line for each that fails
 *   node test/sim/run.ts --seed N [--trace] [--bug NAME]                        one seed again; --trace tells everything that was observed
 *
 * Exit codes: 0 ok, 1 a law was broken, 2 accepted work did not finish in time, 3 an agent or the world failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXIT_CODES } from './world/outcome.ts';
import { type Run, simulate } from './world/simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    first: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const bugName = values.bug;
const options = { isPrinting: values.trace, ...(bugName !== undefined && { bugName }) };
const [first, seedCount] = [Number(values.first), Number(values.seeds)];
const workerCount = Math.min(Number(values.workers), seedCount);

if (values.seed !== undefined) await runOne(Number(values.seed));
else if (workerCount > 1) await runInWorkers();
else process.exitCode = await runRange();

async function runOne(seed: number): Promise<void> {
  const run = await simulate(seed, options);
  if (run.outcome !== 'ok') {
    if (!values.trace) for (const line of run.lastLines) console.log(line);
    console.log(run.error);
  }
  console.log(`seed ${seed}: ${run.outcome}, ${run.summary}, hash ${run.hash}`);
  process.exitCode = EXIT_CODES[run.outcome];
}

/** @returns the exit code of the worst seed. */
async function runRange(): Promise<number> {
  let worst = 0;
  for (let seed = first; seed < first + seedCount; seed += 1) {
    const run = await simulate(seed, options);
    if (run.outcome !== 'ok') console.log(failureOf(run));
    worst = Math.max(worst, EXIT_CODES[run.outcome]);
  }
  return worst;
}

function failureOf({ seed, outcome, error }: Run): string {
  const bug = bugName === undefined ? '' : ` --bug ${bugName}`;
  const why = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  return `seed ${seed}: ${outcome}: ${why} | again: node test/sim/run.ts --seed ${seed}${bug}`;
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
  const took = ((performance.now() - startedMs) / 1_000).toFixed(1);
  console.log(`${seedCount} seeds from ${first}: ${seedCount - failed} ok, ${failed} failed, ${took} s`);
  process.exitCode = Math.max(...results.map(({ exitCode }) => exitCode));
}

async function startWorker(
  from: number,
  count: number,
): Promise<{ readonly failedCount: number; readonly exitCode: number }> {
  const args = ['--first', String(from), '--seeds', String(count), '--workers', '1'];
  const bug = bugName === undefined ? [] : ['--bug', bugName];
  const child: ChildProcess = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), ...args, ...bug],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return {
    failedCount: output.split('\n').filter((line) => line.startsWith('seed ')).length,
    exitCode: code ?? EXIT_CODES.crashed,
  };
}
