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
import type { CrashPoint } from './sim-process.ts';
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
  /** As a partition, again and again: cut for a time, whole for a time. */
  | {
      readonly type: 'flapping';
      readonly from: readonly string[];
      readonly to: readonly string[];
      readonly isOneWay: boolean;
      /** Unit: ms. */
      readonly periodMs: number;
    }
  /** What is sent one way is held up and arrives when the fault ends. */
  | { readonly type: 'clog'; readonly from: readonly string[]; readonly to: readonly string[] }
  /** The process dies, unsynced batches may be lost, and starts again. */
  | { readonly type: 'crash'; readonly node: string }
  | { readonly type: 'crashAll' }
  /** The process dies just before or after the `calls`-th use of a port from now on. */
  | { readonly type: 'crashAt'; readonly node: string; readonly point: CrashPoint; readonly calls: number }
  /** Monotonic time stands still, and so does the machine. */
  | { readonly type: 'sleep'; readonly node: string }
  /** The machine stands still while its clocks go on; then all that waited comes at once. */
  | { readonly type: 'pause'; readonly node: string }
  | { readonly type: 'fullDisk'; readonly node: string }
  /** The next sync fails, so the process ends. */
  | { readonly type: 'syncError'; readonly node: string }
  /** A stored value is damaged, or stands in another's place. Always of one node in a run: what a majority keeps is not lost. */
  | { readonly type: 'damage'; readonly node: string; readonly isMisplaced: boolean }
  /** An operator changes who belongs to the mesh, or who leads; `draw`, from 0 to 1, says whom. */
  | { readonly type: 'members'; readonly change: MembershipChange; readonly draw: number }
  /** Happens at once. */
  | { readonly type: 'jumpWall'; readonly node: string; readonly byMs: number };

/**
 * What may be drawn: `partial` is a partition between one node and a few of the others, who stay linked with the rest; `orderly` are changes of
 * members that nobody is forced to, which are drawn alone; `leaving` are changes of members in which they leave by themselves too, in place of `members`.
 */
export type FaultType = NemesisFault['type'] | 'partial' | 'orderly' | 'leaving';
export type MembershipChange = 'join' | 'leave' | 'revoke' | 'transfer';

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
  /** Entries after which a log is cut; undefined: as a real agent does. */
  readonly keptEntries: number | undefined;
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
  readonly types?: readonly FaultType[];
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
const KEPT_ENTRIES_CHOICES = [undefined, undefined, 5, 20, 100];
const FLAPPING_PERIOD_CHOICES_MS = [300, 1_000, 3_000];
const CRASH_POINTS: readonly CrashPoint[] = [
  'before write',
  'after write',
  'before sync',
  'after sync',
  'before send',
  'after send',
];
const CRASH_CALLS_LIMIT = 40;
const MEMBERSHIP_CHANGES: readonly MembershipChange[] = ['join', 'join', 'revoke', 'transfer', 'transfer'];
const ORDERLY_CHANGES: readonly MembershipChange[] = ['join', 'join', 'join', 'leave', 'leave', 'transfer'];
const LEAVING_CHANGES: readonly MembershipChange[] = ['join', 'join', 'leave', 'leave', 'revoke', 'transfer'];
const SWARM_SHARE = 0.4;
const WALL_JUMP_LIMIT_MS = 60_000;
const SHORTEST_FAULT_MS = 200;

/** Nothing but this goes wrong in some lives: members come, hand over the lead and leave in good order. */
export const ORDERLY: readonly FaultType[] = ['orderly'];
/** Not drawn among the others: what is drawn besides does not depend on them. */
const DRAWN_APART: readonly FaultType[] = [...ORDERLY, 'leaving'];

/** One kind of fault, drawn; undefined when these nodes cannot have it. */
type Draw = (random: Random, nodes: readonly string[]) => NemesisFault | undefined;

const DRAW: Readonly<Record<FaultType, Draw>> = {
  partition: (random, nodes) => {
    const cut = drawCut(random, nodes);
    return cut && { type: 'partition', ...cut };
  },
  partial: (random, nodes) => {
    if (nodes.length < 3) return undefined;
    const [node, ...others] = randomShuffle(random, nodes) as [string, ...string[]];
    const most = Math.floor((nodes.length - 1) / 2); // it stays linked with a majority
    const few = randomChance(random, 0.5) ? most : randomInt(random, { from: 1, to: most + 1 });
    return { type: 'partition', from: [node], to: others.slice(0, few), isOneWay: randomChance(random, 0.3) };
  },
  flapping: (random, nodes) => {
    const cut = drawCut(random, nodes);
    return cut && { type: 'flapping', ...cut, periodMs: pick(random, FLAPPING_PERIOD_CHOICES_MS) };
  },
  clog: (random, nodes) => {
    const cut = drawCut(random, nodes);
    return cut && { type: 'clog', from: cut.from, to: cut.to };
  },
  crash: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'crash', node })),
  crashAll: () => ({ type: 'crashAll' }),
  crashAt: (random, nodes) =>
    onOneNode(random, nodes, (node) => ({
      type: 'crashAt',
      node,
      point: pick(random, CRASH_POINTS),
      calls: randomInt(random, { from: 1, to: CRASH_CALLS_LIMIT }),
    })),
  sleep: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'sleep', node })),
  pause: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'pause', node })),
  fullDisk: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'fullDisk', node })),
  syncError: (random, nodes) => onOneNode(random, nodes, (node) => ({ type: 'syncError', node })),
  damage: (random, nodes) =>
    onOneNode(random, nodes.slice(0, 1), (node) => ({
      type: 'damage',
      node,
      isMisplaced: randomChance(random, 0.5),
    })),
  members: (random) => drawChange(random, MEMBERSHIP_CHANGES),
  orderly: (random) => drawChange(random, ORDERLY_CHANGES),
  leaving: (random) => drawChange(random, LEAVING_CHANGES),
  jumpWall: (random, nodes) =>
    onOneNode(random, nodes, (node) => ({
      type: 'jumpWall',
      node,
      byMs: randomInt(random, { from: -WALL_JUMP_LIMIT_MS, to: WALL_JUMP_LIMIT_MS }),
    })),
};

/** Some kinds of fault, at least one: a run that has them all hides what few of them show ("swarm testing", Groce and others, 2012). */
export function drawSwarm(random: Random): readonly FaultType[] {
  const all = (Object.keys(DRAW) as FaultType[]).filter((type) => !DRAWN_APART.includes(type));
  const drawn = all.filter(() => randomChance(random, SWARM_SHARE));
  return drawn.length > 0 ? drawn : [pick(random, all)];
}

/** Of the same kinds, but that members leave by themselves, whatever goes wrong besides. */
export function withLeaving(types: readonly FaultType[]): readonly FaultType[] {
  return [...types.filter((type) => type !== 'members'), 'leaving'];
}

/** @returns the same plan for the same seed and options. */
export function drawFaultPlan(seed: number, options: FaultPlanOptions): FaultPlan {
  const random = new SeededRandom(seed);
  const clocks = Object.fromEntries(options.nodes.map((node) => [node, drawClock(random.fork())]));
  return {
    seed,
    links: drawLinks(random.fork()),
    keptEntries: pick(random, KEPT_ENTRIES_CHOICES),
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
  const drawable = types ?? (Object.keys(DRAW) as FaultType[]).filter((type) => !DRAWN_APART.includes(type));
  // The disk of one and the same node is damaged in a run: the first of these.
  const victims = randomShuffle(random, nodes);
  const steps: NemesisStep[] = [];
  let atMs = randomFloat(random) * meanPauseMs;
  while (atMs < calmAtMs - SHORTEST_FAULT_MS && drawable.length > 0) {
    const wishedMs = SHORTEST_FAULT_MS + randomFloat(random) ** 2 * (longestFaultMs - SHORTEST_FAULT_MS);
    const type = pick(random, drawable);
    const fault = DRAW[type](random, type === 'damage' ? victims : nodes);
    if (fault !== undefined) steps.push({ atMs, forMs: Math.min(wishedMs, calmAtMs - atMs), fault });
    atMs += 1 + randomFloat(random) * 2 * meanPauseMs;
  }
  return steps;
}

function drawChange(random: Random, changes: readonly MembershipChange[]): NemesisFault {
  return { type: 'members', change: pick(random, changes), draw: randomFloat(random) };
}

function drawCut(random: Random, nodes: readonly string[]) {
  if (nodes.length < 2) return undefined;
  const shuffled = randomShuffle(random, nodes);
  const cut = randomInt(random, { from: 1, to: nodes.length });
  const isOneWay = randomChance(random, 0.4);
  return { from: shuffled.slice(0, cut), to: shuffled.slice(cut), isOneWay };
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
