/**
 * Ends trees of processes that resist, and says whether anything of them was left.
 *
 *   node bench/endings.ts [rounds, 50]
 *
 * A round is one tree for each way to end: a timeout, a cancel, a lost hold. Its program and a grandchild ignore SIGTERM; the grandchild has a
 * session of its own, no environment, and no parent. Each is held by bubblewrap or a control group, and then by nothing but its view of the files,
 * in which the agent's directory is covered. Then what a start of `true` takes under each layer.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Ask,
  type Layers,
  OPEN_POLICY,
  type SupervisedEnd,
  Supervision,
} from '../src/supervisor/index.ts';
import { OsBootClock } from '../src/supervisor/os-boot-clock.ts';
import { OsCensus } from '../src/supervisor/os-census.ts';
import { ConfinedRunner } from '../src/supervisor/os-confined-runner.ts';
import { probeLayers } from '../src/supervisor/os-layers.ts';
import { OsSpool } from '../src/supervisor/os-spool.ts';

/** Unlike what anything else sleeps for, another run of this bench included. Unit: s. */
const NAP = `1019.${process.pid}`;
const LOST = `(env -i setsid sh -c 'trap "" TERM; sleep ${NAP} & echo up; sleep ${NAP}' &)`;
const TREE = `trap '' TERM; ${LOST}; sleep ${NAP}`;
const WAYS = ['timeout', 'cancel', 'hold'] as const;
const STARTS = 20;
const rounds = Number(process.argv[2] ?? 50);

const directory = mkdtempSync(join(tmpdir(), 'aspen-endings-'));
const data = join(directory, 'data');
mkdirSync(data);
const clock = new OsBootClock();
const census = new OsCensus();
let count = 0;

interface Begun {
  readonly wrote: Promise<unknown>;
  readonly ended: Promise<SupervisedEnd>;
  stop(): void;
}

interface Way {
  readonly ask: Partial<Ask>;
  readonly isHidden?: boolean;
}

function begin(
  layers: Layers,
  line: readonly [string, ...string[]],
  more: Way & { timeoutMs?: number; holdMs?: number },
): Begun {
  const wrote = Promise.withResolvers<unknown>();
  const ended = Promise.withResolvers<SupervisedEnd>();
  const runner = new ConfinedRunner(data);
  const sandbox = { ...OPEN_POLICY.sandbox, isAgentHidden: more.isHidden === true };
  runner.confine({ ...OPEN_POLICY, sandbox }, layers);
  const mark = `endings-${process.pid}-${++count}`;
  const supervision = new Supervision({
    ...{ runner, census, clock, spool: new OsSpool(join(data, 'outputs')), drawMark: () => mark },
    journal: { begun: () => undefined, ended: () => undefined },
  });
  supervision.listen({
    started: () => undefined,
    output: wrote.resolve,
    ended: ({ end }) => end !== null && ended.resolve(end),
  });
  const [command, ...args] = line;
  supervision.begin({
    ...{
      name: mark,
      note: null,
      outputKey: mark,
      command,
      args,
      env: { PATH: process.env['PATH'] ?? '' },
      shell: false,
    },
    ...{ graceMs: 100, maxOutputBytes: 1024, captureStderr: true, timeoutMs: more.timeoutMs ?? null },
    holdUntilBootMs: clock.bootMs() + (more.holdMs ?? 60_000),
    ask: { variables: [], ...more.ask },
  });
  return { wrote: wrote.promise, ended: ended.promise, stop: () => supervision.stop(mark, 100) };
}

/** Those of this bench: others sleep on a machine as well. */
const sleepers = () => (census.take() ?? []).filter(({ pid }) => lineOf(pid).includes(NAP)).length;

function lineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return ''; // it ended meanwhile
  }
}

async function endOne(layers: Layers, way: (typeof WAYS)[number], held: Way): Promise<boolean> {
  const before = sleepers();
  const limits = { timeout: { timeoutMs: 400 }, cancel: {}, hold: { holdMs: 400 } }[way];
  const { wrote, ended, stop } = begin(layers, ['sh', '-c', TREE], { ...held, ...limits });
  await Promise.race([wrote, ended]);
  if (way === 'cancel') stop();
  const { survivors } = await ended;
  return survivors.length === 0 && sleepers() <= before;
}

async function startMs(layers: Layers, held: Way): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < STARTS; at += 1) {
    const fromMs = performance.now();
    await begin(layers, ['true'], held).ended;
    times.push(performance.now() - fromMs);
  }
  return times.sort((left, right) => left - right)[STARTS / 2] ?? 0;
}

/** A supervisor's timers keep no process alive. */
const awake = setInterval(() => undefined, 1_000);
const { layers } = await probeLayers();
const layer: Partial<Ask> = layers.bwrap === null ? { limits: { pids: 64 } } : { sandbox: 'bwrap' };
const holders: readonly Way[] = [
  { ask: layer },
  ...(layers.hide === null ? [] : [{ ask: {}, isHidden: true }]),
];
for (const held of holders) {
  for (const way of WAYS) {
    let goneCount = 0;
    for (let round = 0; round < rounds; round += 1) if (await endOne(layers, way, held)) goneCount += 1;
    console.log(`${way}: ${goneCount} of ${rounds} trees gone, all of each (${JSON.stringify(held)})`);
  }
}
const starts: readonly Way[] = [
  { ask: {} },
  { ask: {}, isHidden: true },
  { ask: { limits: { cpuSeconds: 9 } } },
  { ask: { limits: { pids: 64, memoryBytes: 2 ** 28 } } },
  { ask: { sandbox: 'bwrap' } },
];
for (const held of starts)
  console.log(
    `start of true, median of ${STARTS}, ${JSON.stringify(held)}: ${(await startMs(layers, held)).toFixed(1)} ms`,
  );
rmSync(directory, { recursive: true });
clearInterval(awake);
