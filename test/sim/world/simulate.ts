import { hash32, randomChance, randomInt, randomPick, SeededRandom } from '../../../src/base/index.ts';
import {
  drawFaultPlan,
  drawSwarm,
  type FaultPlanOptions,
  forbidAmbient,
  ORDERLY,
  withLeaving,
} from '../ground/index.ts';
import { BUGS } from './bugs.ts';
import { MeshLife } from './mesh-life.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { type Reduction, reducedPlan } from './reduction.ts';
import { WEATHERS, type Weather } from './weathers.ts';
import { type Printing, World } from './world.ts';

export interface SimulateOptions {
  readonly bugName?: string;
  /** One of {@link WEATHERS}. @default plans as most runs have them */
  readonly weatherName?: string | undefined;
  /** The story: what was done, and what people saw; all: every line of the trace. @default nothing */
  readonly printing?: Printing | undefined;
  /** @default the whole run */
  readonly reduction?: Reduction;
}

export interface Run {
  readonly seed: number;
  readonly outcome: Outcome;
  readonly hash: string;
  readonly summary: string;
  readonly nodeCount: number;
  /** Of the seed's whole plan. */
  readonly stepCount: number;
  /** How long things go wrong by the seed's whole plan. Unit: ms. */
  readonly faultsMs: number;
  /** null when all is well. */
  readonly error: unknown;
  /** The last of what was observed. */
  readonly lastLines: readonly string[];
}

/** How long things go wrong, after the mesh was formed. Unit: ms of virtual time. */
const FAULTS_MS = 25_000;
/** Some runs have a fault now and then, others hardly a calm moment. */
const MEAN_PAUSE_CHOICES_MS = [2_000, 4_000, 8_000];
const LONGEST_FAULT_CHOICES_MS = [1_500, 4_000, 10_000];
const BEATS_RARELY_SHARE = 0.4;
/** In one of so many lives, with so many machines that some can be spared. */
const ORDERLY_EVERY = 8;
const ORDERLY_NODES = 6;
/** In one of so many of the other lives. */
const LEAVING_EVERY = 4;
/** Some histories of keys are so short that whoever watches them may be left behind. */
const KEPT_CHANGES_CHOICES = [undefined, undefined, 20, 60];

/** One life of a mesh: it forms, everything goes wrong, then nothing does, and the law is checked. The same seed makes the same run. */
export async function simulate(
  seed: number,
  { bugName, weatherName, printing, reduction = {} }: SimulateOptions = {},
): Promise<Run> {
  const bug = bugName === undefined ? {} : named('planted bug', BUGS, bugName);
  const weather = weatherName === undefined ? {} : named('weather', WEATHERS, weatherName);
  const random = new SeededRandom(seed);
  const anyCount = randomInt(random, { from: 3, to: 6 });
  const isUsual = bugName === undefined && weather.types === undefined;
  const isOrderly = isUsual && isOrderlyLife(seed);
  const isLeaving = isUsual && isLeavingLife(seed);
  const drawnCount = bug.nodeCount ?? weather.nodeCount ?? (isOrderly ? ORDERLY_NODES : anyCount);
  const nodeCount = reduction.nodeCount ?? drawnCount;
  const anyMembers = Math.min(nodeCount, randomInt(random, { from: 3, to: drawnCount + 1 }));
  const wishedMembers = Math.min(nodeCount, weather.memberCount ?? anyMembers);
  const memberCount = bug.nodeCount === undefined ? wishedMembers : nodeCount;
  const nodes = Array.from({ length: drawnCount }, (_, at) => `n${at + 1}`);
  const swarm = drawSwarm(random);
  const wholePlan = drawFaultPlan(seed, {
    nodes,
    calmAtMs: weather.faultsMs ?? FAULTS_MS,
    types: isOrderly ? ORDERLY : isLeaving ? withLeaving(swarm) : swarm,
    meanPauseMs: randomPick(random, MEAN_PAUSE_CHOICES_MS) as number,
    longestFaultMs: randomPick(random, LONGEST_FAULT_CHOICES_MS) as number,
    ...drawnAs(weather),
    ...bug.weather,
  });
  const reduced = reducedPlan(wholePlan, reduction, nodes.slice(0, nodeCount));
  const plan = { ...reduced, links: bug.links ?? reduced.links };
  const { disk } = plan;
  const clocks = { ...plan.clocks, ...bug.clocks };
  const keptEntries = bug.keptEntries ?? weather.keptEntries ?? plan.keptEntries;
  const keptChanges = randomPick(random, KEPT_CHANGES_CHOICES);
  const anyBeats = randomChance(random, BEATS_RARELY_SHARE);
  const beatsRarely = bug.beatsRarely ?? anyBeats;
  const world = new World(seed, {
    nodeCount,
    memberCount,
    clocks,
    disk,
    keptEntries,
    keptChanges,
    bug,
    beatsRarely,
    printing,
  });
  let error: unknown = null;
  {
    using _ambient = forbidAmbient();
    try {
      const { jobFeatures, longestWorkMs } = bug;
      const hasHooks = bugName === undefined ? undefined : bug.hasHooks === true;
      const life = new MeshLife({ world, plan, random, jobFeatures, hasHooks, longestWorkMs });
      await life.form();
      await life.endureFaults(plan.calmAtMs);
      await life.finishWork();
      await life.bePutToTheLaw();
    } catch (caught) {
      error = caught;
    }
  }
  const { hash } = world.trace;
  const summary = `${nodeCount} nodes, ${Math.round(world.nowMs)} ms, ${world.laws.tally}`;
  const stepCount = wholePlan.steps.length;
  const lastLines = world.trace.tail();
  const { calmAtMs: faultsMs } = wholePlan;
  return { seed, outcome: outcomeOf(error), hash, summary, nodeCount, stepCount, faultsMs, error, lastLines };
}

function named<T>(what: string, all: Readonly<Record<string, T>>, name: string): T {
  const found = all[name];
  if (found === undefined) throw new Error(`no ${what} is called ${name}: ${Object.keys(all).join(', ')}`);
  return found;
}

/** What of a weather the plan is drawn by. */
function drawnAs({
  types,
  meanPauseMs,
  longestFaultMs,
}: Weather): Pick<FaultPlanOptions, 'types' | 'meanPauseMs' | 'longestFaultMs'> {
  return {
    ...(types !== undefined && { types }),
    ...(meanPauseMs !== undefined && { meanPauseMs }),
    ...(longestFaultMs !== undefined && { longestFaultMs }),
  };
}

/** Said by the seed's number, so that what is drawn under other seeds does not depend on it. */
function isOrderlyLife(seed: number): boolean {
  return hash32(`orderly ${seed}`) % ORDERLY_EVERY === 0;
}

/** The same. */
export function isLeavingLife(seed: number): boolean {
  return hash32(`leaving ${seed}`) % LEAVING_EVERY === 0;
}
