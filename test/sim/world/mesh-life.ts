import { AspenError, randomChance, randomInt, type SeededRandom } from '../../../src/base/index.ts';
import { checkKv } from '../check/index.ts';
import { type FaultPlan, scheduleNemesis } from '../ground/index.ts';
import { AttachedClients } from './attached-clients.ts';
import { HookKeeper } from './hook-keeper.ts';
import { JobClients } from './job-clients.ts';
import { drawJobFeatures, JobDraws, type JobFeature } from './job-draws.ts';
import { KvClients } from './kv-clients.ts';
import { LockClients } from './lock-clients.ts';
import { Operator } from './operator.ts';
import { LawBroken, Stuck } from './outcome.ts';
import { QueueKeeper } from './queue-keeper.ts';
import { Standings } from './standings.ts';
import { WatchClients } from './watch-clients.ts';
import type { World } from './world.ts';

/** In which everything that was begun ends once nothing goes wrong any more. Unit: ms of virtual time. */
const LIVENESS_MS = 90_000;
const KV_CLIENTS = 4;
const JOB_CLIENTS = 3;
const LOCK_CLIENTS = 3;
const WATCH_CLIENTS = 2;
const MOST_WORKERS = 3;
const HOOKS_SHARE = 0.4;

export interface MeshLifeComponents {
  readonly world: World;
  readonly plan: FaultPlan;
  readonly random: SeededRandom;
  /** What jobs ask for. @default as the seed says */
  readonly jobFeatures?: ReadonlySet<JobFeature> | undefined;
  /** Whether a receiver is told of jobs that end. @default as the seed says */
  readonly hasHooks?: boolean | undefined;
  /** Of a job; unit: ms. @default as in any run */
  readonly longestWorkMs?: number | undefined;
}

/** The phases of a run, in order: first safety under faults, then faults stop and all accepted work must finish. */
export class MeshLife {
  readonly #world: World;
  readonly #plan: FaultPlan;
  readonly #kv: KvClients;
  readonly #jobs: JobClients;
  readonly #queues: QueueKeeper;
  readonly #workers: AttachedClients;
  readonly #workerCount: number;
  readonly #operator: Operator;
  readonly #locks: LockClients;
  readonly #watches: WatchClients;
  readonly #hooks: HookKeeper | undefined;
  /** By name, as often as it was begun. */
  readonly #running: string[] = [];

  constructor({ world, plan, random, jobFeatures, hasHooks, longestWorkMs }: MeshLifeComponents) {
    this.#world = world;
    this.#plan = plan;
    this.#kv = new KvClients({ world, random: random.fork() });
    const drawn = drawJobFeatures(random);
    const features = jobFeatures ?? drawn;
    const draws = new JobDraws(random.fork(), features, { nowMs: () => world.nowMs, longestWorkMs });
    world.note(`jobs have ${[...features].join(', ')}`);
    this.#jobs = new JobClients({ world, random: random.fork(), draws });
    this.#queues = new QueueKeeper({ world, random: random.fork(), draws });
    this.#workers = new AttachedClients({ world, random: random.fork() });
    this.#workerCount = features.has('workers') ? randomInt(random, { from: 1, to: MOST_WORKERS + 1 }) : 0;
    const canSpareAny = plan.steps.every(({ fault }) => fault.type !== 'damage');
    this.#operator = new Operator({ world, random: random.fork() }, { canSpareAny });
    this.#locks = new LockClients({ world, random: random.fork() });
    this.#watches = new WatchClients({ world, random: random.fork() });
    const ofHooks = random.fork();
    if (hasHooks ?? randomChance(ofHooks, HOOKS_SHARE)) {
      world.note('a receiver is told of jobs that end');
      this.#hooks = new HookKeeper({ world, random: ofHooks });
    }
  }

  async form(): Promise<void> {
    await this.#world.formMesh();
  }

  async endureFaults(forMs: number): Promise<void> {
    const world = this.#world;
    const startMs = world.nowMs;
    world.links.setProfile(this.#plan.links);
    new Standings(world).start();
    scheduleNemesis(
      this.#plan.steps.map((step) => ({ ...step, atMs: startMs + step.atMs })),
      {
        ...world.targets,
        changeMembers: (change, draw) =>
          this.#begin(`operator: ${change}`, this.#operator.change(change, draw)),
      },
    );
    for (let at = 1; at <= KV_CLIENTS; at += 1)
      this.#begin(`kv${at}`, this.#kv.run(`kv${at}`, startMs + forMs));
    for (let at = 1; at <= JOB_CLIENTS; at += 1)
      this.#begin(`c${at}`, this.#jobs.run(`c${at}`, startMs + forMs));
    this.#begin('queues', this.#queues.run(startMs + forMs));
    if (this.#hooks !== undefined) this.#begin('hooks', this.#hooks.run(startMs + forMs));
    for (let at = 1; at <= LOCK_CLIENTS; at += 1)
      this.#begin(`lk${at}`, this.#locks.run(`lk${at}`, startMs + forMs));
    for (let at = 1; at <= WATCH_CLIENTS; at += 1)
      this.#begin(`wt${at}`, this.#watches.run(`wt${at}`, startMs + forMs));
    for (let at = 1; at <= this.#workerCount; at += 1) this.#attach(startMs + forMs);
    await world.advance(forMs);
    world.note('faults stop');
    world.heal();
  }

  async finishWork(): Promise<void> {
    const world = this.#world;
    try {
      await this.#soon(
        'all calls are answered',
        () => this.#running.length === 0,
        () => this.#running.join(', '),
      );
      await this.#soon(
        'all accepted jobs end',
        () => world.laws.openJobs().length === 0,
        () => world.laws.openJobs().join(' '),
      );
      await this.#soon('all agree on leader and voters', () => world.votersAgreed());
    } catch (error) {
      if (error instanceof Stuck) await this.#explainStuck();
      throw error;
    }
  }

  async bePutToTheLaw(): Promise<void> {
    const world = this.#world;
    await world.settled(this.#kv.surveyAll());
    await world.settled(this.#jobs.surveyAll());
    await this.#soon(
      'registries converge',
      () => world.registriesAgree(),
      () => world.registryDigests().join(' '),
      world.farthestAheadMs, // stamps of a clock that was ahead are refused until the others' clocks get there
    );
    await this.#soon(
      'nobody knows those any more who have left',
      () => world.leaversKnown().length === 0,
      () => world.leaversKnown().join(', '),
    );
    world.observeRegistries();
    world.observeCustody();
    world.laws.checkAll();
    const verdict = checkKv(this.#kv.history);
    if (!verdict.isLinearizable)
      throw new LawBroken([`the history of ${verdict.partition} is not linearizable`, ...verdict.story]);
  }

  /** Nobody waits for the end of a worker: it stays as long as the world. */
  #attach(untilMs: number): void {
    this.#workers.run(untilMs).catch((error) => this.#world.fail(error, 'a worker'));
  }

  #begin(name: string, client: Promise<void>): void {
    this.#running.push(name);
    client.then(
      () => this.#running.splice(this.#running.indexOf(name), 1),
      (error) => this.#world.fail(error, name),
    );
  }

  async #soon(what: string, isTrue: () => boolean, detail = () => '', extraMs = 0): Promise<void> {
    await this.#world.until(isTrue, { limitMs: LIVENESS_MS + extraMs, what, detail });
  }

  /** What does not end may have been lost, which is worse. @throws LawBroken when a law was broken before. */
  async #explainStuck(): Promise<void> {
    const world = this.#world;
    for (const id of world.laws.openJobs()) {
      try {
        const job = await world.call(world.pickMember().name, 'job.get', { id });
        world.note(`${id} has not ended: ${JSON.stringify(job)}`);
      } catch (error) {
        if (error instanceof AspenError && error.code === 'NOT_FOUND')
          world.breach(`${id} was accepted and is not known any more`);
      }
    }
    world.laws.checkSafety();
  }
}
