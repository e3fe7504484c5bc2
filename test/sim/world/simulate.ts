import { randomInt, randomPick, SeededRandom } from '../../../src/base/index.ts';
import { checkLinearizable, registerModel, registerPartition } from '../check/index.ts';
import { drawFaultPlan, type FaultPlan, forbidAmbient, scheduleNemesis } from '../ground/index.ts';
import { BUGS } from './bugs.ts';
import { JobClients } from './job-clients.ts';
import { KvClients } from './kv-clients.ts';
import { LawBroken, type Outcome, outcomeOf } from './outcome.ts';
import { World } from './world.ts';

export interface SimulateOptions {
  readonly bugName?: string;
  readonly isPrinting?: boolean;
}

export interface Run {
  readonly seed: number;
  readonly outcome: Outcome;
  readonly hash: string;
  readonly summary: string;
  /** null when all is well. */
  readonly error: unknown;
  /** The last of what was observed. */
  readonly lastLines: readonly string[];
}

/** How long things go wrong, after the mesh was formed. Unit: ms of virtual time. */
const FAULTS_MS = 25_000;
/** In which all accepted work ends once nothing goes wrong any more. Unit: ms of virtual time. */
const LIVENESS_MS = 90_000;
/** Some runs have a fault now and then, others hardly a calm moment. */
const MEAN_PAUSE_CHOICES_MS = [2_000, 4_000, 8_000];
const LONGEST_FAULT_CHOICES_MS = [1_500, 4_000, 10_000];
const KV_CLIENTS = 4;
const JOB_CLIENTS = 3;
const FAULT_TYPES = ['partition', 'partition', 'crash', 'crash', 'crashAll', 'jumpWall'] as const;

/** One life of a mesh: it forms, everything goes wrong, then nothing does, and the law is checked. The same seed makes the same run. */
export async function simulate(
  seed: number,
  { bugName, isPrinting = false }: SimulateOptions = {},
): Promise<Run> {
  const bug = bugName === undefined ? {} : BUGS[bugName];
  if (bug === undefined)
    throw new Error(`no planted bug is called ${bugName}: ${Object.keys(BUGS).join(', ')}`);
  const random = new SeededRandom(seed);
  const nodeCount = randomInt(random, { from: 3, to: 6 });
  const nodes = Array.from({ length: nodeCount }, (_, at) => `n${at + 1}`);
  const plan = drawFaultPlan(seed, {
    nodes,
    calmAtMs: FAULTS_MS,
    types: FAULT_TYPES,
    meanPauseMs: randomPick(random, MEAN_PAUSE_CHOICES_MS) as number,
    longestFaultMs: randomPick(random, LONGEST_FAULT_CHOICES_MS) as number,
  });
  const world = new World(seed, { nodeCount, clocks: plan.clocks, disk: plan.disk, bug, isPrinting });
  let error: unknown = null;
  {
    using _ambient = forbidAmbient();
    try {
      await live(world, plan, random);
    } catch (caught) {
      error = caught;
    }
  }
  const { hash } = world.trace;
  const summary = `${nodeCount} nodes, ${Math.round(world.nowMs)} ms, ${world.tally}`;
  return { seed, outcome: outcomeOf(error), hash, summary, error, lastLines: world.trace.tail() };
}

async function live(world: World, plan: FaultPlan, random: SeededRandom): Promise<void> {
  await world.formMesh();
  const kv = new KvClients({ world, random: random.fork() });
  const jobs = new JobClients({ world, random: random.fork() });
  const calmAtMs = world.nowMs + FAULTS_MS;
  world.links.setProfile(plan.links);
  const startedMs = world.nowMs;
  scheduleNemesis(
    plan.steps.map((step) => ({ ...step, atMs: step.atMs + startedMs })),
    world.targets,
  );
  let running = 0;
  const begin = (client: Promise<void>) => {
    running += 1;
    client.then(
      () => {
        running -= 1;
      },
      (error) => world.fail(error, 'a client'),
    );
  };
  for (let at = 1; at <= KV_CLIENTS; at += 1) begin(kv.run(`kv${at}`, calmAtMs));
  for (let at = 1; at <= JOB_CLIENTS; at += 1) begin(jobs.run(`c${at}`, calmAtMs));
  await world.advance(FAULTS_MS);
  world.note('faults stop');
  world.heal();
  await world.until(() => running === 0, { limitMs: LIVENESS_MS, what: 'all calls are answered' });
  await world.until(() => world.openJobs().length === 0, {
    limitMs: LIVENESS_MS,
    what: 'all accepted jobs end',
    detail: () => world.openJobs().join(' '),
  });
  await world.until(() => world.votersAgreed(), {
    limitMs: LIVENESS_MS,
    what: 'all agree on leader and voters',
  });
  await world.settled(kv.surveyAll());
  await world.until(() => world.registriesAgree(), {
    // Stamps of a clock that was ahead are refused until the others' clocks get there.
    limitMs: LIVENESS_MS + world.farthestAheadMs,
    what: 'registries converge',
    detail: () => world.registryDigests().join(' '),
  });
  world.observeRegistries();
  world.checkLaws();
  const verdict = checkLinearizable(kv.history, registerModel, { partitionOf: registerPartition });
  if (!verdict.isLinearizable) {
    throw new LawBroken([`the history of ${verdict.partition} is not linearizable`, ...verdict.story]);
  }
}
