import {
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
  randomShuffle,
  SeededRandom,
} from '../../../src/base/index.ts';
import type { LinkProfile } from './link-faults.ts';
import type { SimClockOptions } from './sim-clock.ts';
import type { SimDiskOptions } from './sim-store.ts';

/** One thing that goes wrong, and for how long; the end of each is part of it, so that faults always heal. */
export type NemesisFault =
  /** Nothing gets from one side to the other; nor back, unless `isOneWay`. */
  | {
      readonly type: 'partition';
      readonly from: readonly string[];
      readonly to: readonly string[];
      readonly isOneWay: boolean;
    }
  /** The process dies, unsynced batches may be lost, and starts again. */
  | { readonly type: 'crash'; readonly node: string }
  | { readonly type: 'crashAll' }
  | { readonly type: 'sleep'; readonly node: string }
  | { readonly type: 'fullDisk'; readonly node: string }
  /** Happens at once. */
  | { readonly type: 'jumpWall'; readonly node: string; readonly byMs: number };

export interface NemesisStep {
  /** Virtual time since the start of the run. Unit: ms. */
  readonly atMs: number;
  /** Unit: ms. */
  readonly forMs: number;
  readonly fault: NemesisFault;
}

/** All that a seed decides about a run before it begins. */
export interface FaultPlan {
  readonly seed: number;
  readonly links: LinkProfile;
  readonly disk: SimDiskOptions;
  readonly clocks: Readonly<Record<string, SimClockOptions>>;
  /** In order of `atMs`; every fault is over before `calmAtMs`. */
  readonly steps: readonly NemesisStep[];
  readonly calmAtMs: number;
}

export interface FaultPlanOptions {
  readonly nodes: readonly string[];
  /** When faults stop. Unit: ms. */
  readonly calmAtMs: number;
  /** Faults that may be drawn. @default all */
  readonly types?: readonly NemesisFault['type'][];
  /** Mean pause between the beginnings of faults. Unit: ms. @default 4_000 */
  readonly meanPauseMs?: number;
  /** Longest time one fault lasts. Unit: ms. @default 12_000 */
  readonly longestFaultMs?: number;
}

/** Named ranges, so that some runs are calm, some lossy, some slow: a mix of everything everywhere finds less. */
const LOSS_CHOICES = [0, 0, 0.01, 0.05, 0.15, 0.3];
const DUPLICATION_CHOICES = [0, 0, 0.05, 0.2, 0.5];
const REORDERING_CHOICES = [0, 0.05, 0.3];
const LONGEST_DELAY_CHOICES_MS = [2, 10, 50, 200];
const LONGEST_SYNC_CHOICES_MS = [1, 5, 30, 120];
const WALL_OFFSET_CHOICES_MS = [0, 5, 500, 3_000];
const DRIFT_CHOICES = [0, 0.00005, 0.0005];
const WALL_JUMP_LIMIT_MS = 60_000;
const SHORTEST_FAULT_MS = 200;

/** One kind of fault, drawn; undefined when these nodes cannot have it. */
const DRAW: Readonly<
  Record<NemesisFault['type'], (random: Random, nodes: readonly string[]) => NemesisFault | undefined>
> = {
  partition: drawPartition,
  crash: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'crash', node })),
  crashAll: () => ({ type: 'crashAll' }),
  sleep: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'sleep', node })),
  fullDisk: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'fullDisk', node })),
  jumpWall: (random, nodes) =>
    onOneNode(random, nodes, (node) => ({
      type: 'jumpWall',
      node,
      byMs: randomInt(random, { from: -WALL_JUMP_LIMIT_MS, to: WALL_JUMP_LIMIT_MS }),
    })),
};

/** @returns the same plan for the same seed and options. */
export function drawFaultPlan(seed: number, options: FaultPlanOptions): FaultPlan {
  const random = new SeededRandom(seed);
  const clocks = Object.fromEntries(options.nodes.map((node) => [node, drawClock(random.fork())]));
  return {
    seed,
    links: drawLinks(random.fork()),
    disk: { shortestSyncMs: 0.1, longestSyncMs: pick(random, LONGEST_SYNC_CHOICES_MS) },
    clocks,
    steps: drawSteps(random.fork(), options),
    calmAtMs: options.calmAtMs,
  };
}

function drawLinks(random: Random): LinkProfile {
  return {
    shortestMs: 0.1 + randomFloat(random),
    longestMs: pick(random, LONGEST_DELAY_CHOICES_MS),
    loss: pick(random, LOSS_CHOICES),
    duplication: pick(random, DUPLICATION_CHOICES),
    reordering: pick(random, REORDERING_CHOICES),
  };
}

function drawClock(random: Random): SimClockOptions {
  const wallOffsetMs = pick(random, WALL_OFFSET_CHOICES_MS) * sign(random);
  return { wallOffsetMs, drift: pick(random, DRIFT_CHOICES) * sign(random) };
}

function drawSteps(
  random: Random,
  { nodes, calmAtMs, types, meanPauseMs = 4_000, longestFaultMs = 12_000 }: FaultPlanOptions,
): NemesisStep[] {
  const drawable = types ?? (Object.keys(DRAW) as NemesisFault['type'][]);
  const steps: NemesisStep[] = [];
  let atMs = randomFloat(random) * meanPauseMs;
  while (atMs < calmAtMs - SHORTEST_FAULT_MS && drawable.length > 0) {
    const wishedMs = SHORTEST_FAULT_MS + randomFloat(random) ** 2 * (longestFaultMs - SHORTEST_FAULT_MS);
    const fault = DRAW[pick(random, drawable)](random, nodes);
    if (fault !== undefined) steps.push({ atMs, forMs: Math.min(wishedMs, calmAtMs - atMs), fault });
    atMs += 1 + randomFloat(random) * 2 * meanPauseMs;
  }
  return steps;
}

function drawPartition(random: Random, nodes: readonly string[]): NemesisFault | undefined {
  if (nodes.length < 2) return undefined;
  const shuffled = randomShuffle(random, nodes);
  const cut = randomInt(random, { from: 1, to: nodes.length });
  const isOneWay = randomChance(random, 0.4);
  return { type: 'partition', from: shuffled.slice(0, cut), to: shuffled.slice(cut), isOneWay };
}

function onOneNode<F>(random: Random, nodes: readonly string[], make: (node: string) => F): F | undefined {
  const node = randomPick(random, nodes);
  return node === undefined ? undefined : make(node);
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return randomPick(random, choices) as T;
}

function sign(random: Random): 1 | -1 {
  return randomChance(random, 0.5) ? 1 : -1;
}
