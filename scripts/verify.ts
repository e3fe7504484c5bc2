/**
 * All that CI runs, and `npm test`: types, lint, import rules, unit and contract tests, a sample of simulated seeds, end-to-end tests, the short fault lab. Every
 * step runs, whatever became of the one before it; the last line counts. A step that is not a suite of tests counts as one.
 * Words after the command choose steps: `npm run verify -- types lint` runs those whose titles contain one of them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SIM_SEEDS = process.env['ASPEN_SIM_SEEDS'] ?? '300';
/** A step that takes longer hangs. Unit: ms. */
const STEP_LIMIT_MS = 30 * 60_000;
const KILL_GRACE_MS = 5_000;
/** Of what a failed step said, repeated at the end: whoever sees only the end of the output sees why. */
const WHY_LENGTH = 2_500;

interface Step {
  readonly title: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** Its output ends with mocha's counts. */
  readonly isSuite?: boolean;
  /** Left out while this file is not there. */
  readonly needs?: string;
}

const STEPS: readonly Step[] = [
  { title: 'types', command: ['tsc', '--noEmit'] },
  { title: 'lint', command: ['biome', 'check', '.'] },
  { title: 'import rules', command: ['depcruise', '--config', '.dependency-cruiser.cjs', 'src'] },
  {
    title: 'unit and contract tests',
    command: ['mocha', '--reporter', 'dot', 'test/unit/**/*.test.ts', 'test/contract/**/*.test.ts'],
    isSuite: true,
  },
  {
    title: `simulated raft, ${SIM_SEEDS} seeds`,
    command: ['node', 'test/sim/raft/run.ts', '--seeds', SIM_SEEDS],
    needs: 'test/sim/raft/run.ts',
  },
  {
    title: `simulated mesh, ${SIM_SEEDS} seeds`,
    command: ['node', 'test/sim/run.ts', '--seeds', SIM_SEEDS],
    needs: 'test/sim/run.ts',
  },
  {
    title: 'simulated stories and planted bugs',
    command: ['mocha', '--reporter', 'dot', 'test/sim/scenarios/**/*.test.ts'],
    isSuite: true,
  },
  {
    title: 'end to end tests',
    command: ['mocha', '--parallel', '--jobs', '2', 'test/e2e/**/*.test.ts'],
    isSuite: true,
  },
  { title: 'fault lab, short', command: ['node', 'test/lab/run.ts', '--short'], needs: 'test/lab/run.ts' },
];

interface Verdict {
  readonly title: string;
  readonly passed: number;
  readonly failed: number;
  readonly tookMs: number;
  /** What a failed step said of why. */
  readonly why: string;
}

const words = process.argv.slice(2);
const verdicts: Verdict[] = [];
let isInterrupted = false;
for (const step of STEPS) if (!isInterrupted && isChosen(step)) verdicts.push(await run(step));
summarize(verdicts);

function isChosen({ title, needs }: Step): boolean {
  const isThere = needs === undefined || existsSync(join(ROOT, needs));
  return isThere && (words.length === 0 || words.some((word) => title.includes(word)));
}

async function run(step: Step): Promise<Verdict> {
  const { title, command } = step;
  console.log(`\n=== ${title}: ${command.join(' ')}\n`);
  const startedMs = performance.now();
  const { isOk, output } = await execute(command);
  const tookMs = performance.now() - startedMs;
  const counts =
    step.isSuite === true ? suiteCounts(output, isOk) : { passed: Number(isOk), failed: Number(!isOk) };
  console.log(`\n--- ${title}: ${counts.failed === 0 ? 'ok' : 'FAILED'} after ${seconds(tookMs)}`);
  return { title, ...counts, tookMs, why: counts.failed === 0 ? '' : reasonIn(output) };
}

/** Runs a program with the project's own Node, shows what it says, and keeps it. */
async function execute([program, ...args]: Step['command']): Promise<{ isOk: boolean; output: string }> {
  const PATH = [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  child.stderr.pipe(process.stderr, { end: false });
  const limit = setTimeout(() => endGroup(child), STEP_LIMIT_MS);
  const onInterrupt = (): void => {
    isInterrupted = true;
    endGroup(child);
  };
  process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { isOk: code === 0, output };
  } catch (error) {
    console.error(`cannot run ${program}: ${error instanceof Error ? error.message : String(error)}`);
    return { isOk: false, output };
  } finally {
    clearTimeout(limit);
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
  }
}

/** The step and whatever it started. */
function endGroup(child: ChildProcess): void {
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, name);
  };
  console.error('\nending this step');
  signal('SIGTERM');
  setTimeout(() => signal('SIGKILL'), KILL_GRACE_MS).unref();
}

/** A suite that ends badly although no test failed (it could not be loaded, or was killed) counts as one failure. */
function suiteCounts(output: string, isOk: boolean): { passed: number; failed: number } {
  const count = (word: string): number =>
    Number(output.match(new RegExp(`^\\s*(\\d+) ${word}`, 'm'))?.[1] ?? 0);
  return { passed: count('passing'), failed: Math.max(count('failing'), isOk ? 0 : 1) };
}

/** @returns what mocha says of the tests that failed; the end of the output where it says nothing of the kind. */
function reasonIn(output: string): string {
  const at = output.search(/^\s*\d+ failing/m);
  return at === -1 ? output.trimEnd().slice(-WHY_LENGTH) : output.slice(at).trim().slice(0, WHY_LENGTH);
}

function summarize(all: readonly Verdict[]): void {
  console.log('\n=== summary\n');
  for (const { title, passed, failed, tookMs } of all) {
    console.log(
      `${failed === 0 ? 'ok    ' : 'FAILED'} ${title}: ${passed} passed, ${failed} failed, ${seconds(tookMs)}`,
    );
  }
  for (const { title, why } of all) if (why !== '') console.log(`\n--- why ${title} failed:\n${why}`);
  const total = (key: 'passed' | 'failed'): number => all.reduce((sum, verdict) => sum + verdict[key], 0);
  process.exitCode = total('failed') === 0 ? 0 : 1;
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
