/**
 * Ends trees of processes that resist, and says whether anything of them was left.
 *
 *   node bench/endings.ts [rounds, 50]
 *
 * A round is one tree for each way to end: a timeout, a cancel, a lost hold. Its program and a grandchild ignore SIGTERM; the grandchild has a
 * session of its own and no environment. Then what a start of `true` takes under each layer.
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
const TREE = `trap '' TERM; env -i setsid sh -c 'trap "" TERM; sleep ${NAP} & sleep ${NAP}' & echo up; sleep ${NAP}`;
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

function begin(
  layers: Layers,
  line: readonly [string, ...string[]],
  more: { ask?: Partial<Ask>; timeoutMs?: number; holdMs?: number },
): Begun {
  const wrote = Promise.withResolvers<unknown>();
  const ended = Promise.withResolvers<SupervisedEnd>();
  const runner = new ConfinedRunner(data);
  runner.confine(OPEN_POLICY, layers);
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

async function endOne(layers: Layers, way: (typeof WAYS)[number], ask: Partial<Ask>): Promise<boolean> {
  const before = sleepers();
  const limits = { timeout: { timeoutMs: 400 }, cancel: {}, hold: { holdMs: 400 } }[way];
  const { wrote, ended, stop } = begin(layers, ['sh', '-c', TREE], { ask, ...limits });
  await Promise.race([wrote, ended]);
  if (way === 'cancel') stop();
  const { survivors } = await ended;
  return survivors.length === 0 && sleepers() <= before;
}

async function startMs(layers: Layers, ask: Partial<Ask>): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < STARTS; at += 1) {
    const fromMs = performance.now();
    await begin(layers, ['true'], { ask }).ended;
    times.push(performance.now() - fromMs);
  }
  return times.sort((left, right) => left - right)[STARTS / 2] ?? 0;
}

/** A supervisor's timers keep no process alive. */
const awake = setInterval(() => undefined, 1_000);
const { layers } = await probeLayers();
const layer: Partial<Ask> = layers.bwrap === null ? { limits: { pids: 64 } } : { sandbox: 'bwrap' };
for (const way of WAYS) {
  let goneCount = 0;
  for (let round = 0; round < rounds; round += 1) if (await endOne(layers, way, layer)) goneCount += 1;
  console.log(`${way}: ${goneCount} of ${rounds} trees gone, all of each (${JSON.stringify(layer)})`);
}
const asks: readonly Partial<Ask>[] = [
  {},
  { limits: { cpuSeconds: 9 } },
  { limits: { pids: 64, memoryBytes: 2 ** 28 } },
  { sandbox: 'bwrap' },
];
for (const ask of asks)
  console.log(
    `start of true, median of ${STARTS}, ${JSON.stringify(ask)}: ${(await startMs(layers, ask)).toFixed(1)} ms`,
  );
rmSync(directory, { recursive: true });
clearInterval(awake);
