import type { Daemon, Platform } from '../../../src/agent/index.ts';
import { AspenError, type PeerId, type Random, randomPick, SeededRandom } from '../../../src/base/index.ts';
import { jobsModule } from '../../../src/jobs/index.ts';
import {
  createKvModule,
  type Fact,
  type KvChange,
  kvModule,
  leasesModule,
  type MachineModule,
} from '../../../src/lease/machine/index.ts';
import type { MemoryNetwork } from '../../../src/mesh/index.ts';
import type { ParamsInput, Result } from '../../../src/rpc/index.ts';
import { StorageFault } from '../../../src/storage/index.ts';
import type { Observation } from '../check/index.ts';
import {
  CALM_LINKS,
  type FaultPlanOptions,
  LinkFaults,
  type LinkProfile,
  type NemesisTargets,
  ProcessGone,
  Scheduler,
  type SimClockOptions,
  type SimDisk,
  type SimDiskOptions,
  Trace,
} from '../ground/index.ts';
import { CollectedLog } from './collected-log.ts';
import { agreedMembers, brokenCustody } from './custody.ts';
import type { JobFeature } from './job-draws.ts';
import { Laws } from './laws.ts';
import { Stuck } from './outcome.ts';
import { SimMachine } from './sim-machine.ts';
import { type Method, SimNode } from './sim-node.ts';
import { SimReceiver } from './sim-receiver.ts';
import { isOfTheStory } from './story-line.ts';
import { watchJobs } from './watched-jobs.ts';
import { WorldWire } from './world-wire.ts';

/** Which lines are shown while a world runs. */
export type Printing = 'story' | 'all';

export interface WorldOptions {
  /** @default 3 */
  readonly nodeCount?: number;
  /** How many of them form the mesh; the others are there to join later. @default all */
  readonly memberCount?: number;
  /** Attempts that may run on one node at once. @default 4 */
  readonly slots?: number;
  readonly clocks?: Readonly<Record<string, SimClockOptions>>;
  readonly disk?: SimDiskOptions;
  /** Entries after which a log is cut. @default as a real agent does */
  readonly keptEntries?: number | undefined;
  /** Changes of keys that the history keeps for those who watch. @default as a real agent does */
  readonly keptChanges?: number | undefined;
  readonly bug?: WorldBug;
  /** Signs of life are as rare as in a large mesh, and whoever loses a link says whom it misses. @default false */
  readonly beatsRarely?: boolean;
  readonly printing?: Printing | undefined;
}

/** A fault planted from outside the agent. */
export interface WorldBug {
  readonly commitRule?: NonNullable<Platform['trial']>['commitRule'];
  readonly refutation?: NonNullable<Platform['trial']>['refutation'];
  /** What its links are like. @default as the seed says */
  readonly links?: LinkProfile;
  /** As for the world. @default as the seed says */
  readonly nodeCount?: number;
  readonly beatsRarely?: boolean;
  readonly jobs?: (module: MachineModule) => MachineModule;
  readonly kv?: (module: MachineModule) => MachineModule;
  readonly leases?: (module: MachineModule) => MachineModule;
  readonly makeDisk?: (random: SeededRandom, options: SimDiskOptions) => SimDisk;
  /** Does something to an agent that has just started. */
  readonly tamper?: (daemon: Daemon) => void;
  /** Whether a receiver is told of jobs that end. @default never where a fault is planted */
  readonly hasHooks?: boolean;
  /** Agents do not ask what their supervisors hold. */
  readonly forgetsHeld?: boolean;
  readonly keptEntries?: number;
  /** Of the jobs that are submitted. @default as in any run */
  readonly longestWorkMs?: number;
  readonly clocks?: Readonly<Record<string, SimClockOptions>>;
  /** What jobs ask for where it shows. @default as in any run */
  readonly jobFeatures?: ReadonlySet<JobFeature>;
  /** The weather in which it shows. @default as in any run */
  readonly weather?: Pick<FaultPlanOptions, 'types' | 'meanPauseMs' | 'longestFaultMs'>;
}

/** Virtual time a call of a story may take. Unit: ms. */
const CALL_LIMIT_MS = 120_000;
const MESH_READY_LIMIT_MS = 120_000;
const STEP_MS = 100;
/** Signs of life are so rare in a mesh of 250, and nodes tell each other whom they miss. */
const LIKE_A_LARGE_MESH = { missedFrom: 4, heartbeatEveryMs: 30_000 } as const;
/** Longer than what a session bears of a sleep. Unit: ms. */
const LONG_SLEEP_MS = 2_100;
/** After it every process has compared its clocks. Unit: ms. */
const LOOKED_MS = 1_000;
/** More than a history of few changes takes. */
const KEPT_CHANGES_BYTES = 2 ** 20;

/** Agents on simulated machines, joined to one mesh; everything that happens follows from the seed. */
export class World {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly links: LinkFaults;
  readonly trace: Trace;
  readonly log: CollectedLog;
  readonly nodes: readonly SimNode[];
  readonly laws = new Laws();
  readonly receiver = new SimReceiver();
  readonly #names = new Map<PeerId, string>();
  readonly #members: Set<SimNode>;
  readonly #leavers = new Set<SimNode>();
  readonly #printing: Printing | undefined;
  #farthestAheadMs = 0;
  /** When somebody set the wall clock of a node last: then it may hide a sleep. */
  readonly #wallSetMs = new Map<string, number>();
  #failure: { readonly error: unknown } | undefined;

  constructor(seed: number, options: WorldOptions = {}) {
    const {
      nodeCount = 3,
      memberCount = nodeCount,
      slots = 4,
      clocks = {},
      disk = {},
      keptEntries,
      keptChanges,
      bug = {},
      beatsRarely = false,
      printing,
    } = options;
    this.seed = seed;
    this.#printing = printing;
    this.scheduler = new Scheduler(seed);
    this.random = new SeededRandom(seed);
    this.trace = new Trace();
    this.links = new LinkFaults(this.random.fork(), CALM_LINKS);
    this.log = new CollectedLog(this.scheduler, (line) => this.note(line));
    const kv =
      keptChanges === undefined
        ? kvModule
        : createKvModule({ eventsLimit: keptChanges, bytesLimit: KEPT_CHANGES_BYTES });
    const trial: Platform['trial'] = {
      isHashed: true,
      ...(beatsRarely && LIKE_A_LARGE_MESH),
      ...(bug.refutation !== undefined && { refutation: bug.refutation }),
      modules: [
        watchJobs(bug.jobs?.(jobsModule) ?? jobsModule, this.#jobMoves()),
        bug.kv?.(kv) ?? kv,
        ...(bug.leases === undefined ? [] : [bug.leases(leasesModule)]),
      ],
      ...(bug.commitRule !== undefined && { commitRule: bug.commitRule }),
      ...(keptEntries !== undefined && { replica: { keepEntries: keptEntries, dropEntries: 1 } }),
    };
    const components = {
      scheduler: this.scheduler,
      wire: this.#wire(),
      random: this.random.fork(),
      neighbours: () => [...this.#names.keys()],
      receiver: this.receiver,
      logger: this.log.of,
      trial,
      runs: (node: string) => ({
        runs: (run: { job: string; token: number }) => this.observe({ type: 'runs', node, ...run }),
        stopped: (run: { job: string; token: number }) => this.observe({ type: 'stopped', node, ...run }),
      }),
      forgetsHeld: bug.forgetsHeld ?? false,
      ...(bug.makeDisk !== undefined && { makeDisk: bug.makeDisk }),
    };
    const witness = {
      started: (node: SimNode, daemon: Daemon) => {
        bug.tamper?.(daemon);
        this.#started(node, daemon);
      },
      failed: (node: SimNode, error: unknown) => this.#failed(node, error),
    };
    this.nodes = Array.from({ length: nodeCount }, (_, at) => `n${at + 1}`).map(
      (name) =>
        new SimNode(
          { machine: new SimMachine(components, { name, clock: clocks[name] ?? {}, disk }), witness },
          { voters: 3, slots },
        ),
    );
    this.#members = new Set(this.nodes.slice(0, memberCount));
    this.scheduler.onRejection((reason) => this.#rejected(reason));
    this.scheduler.observeEvents(({ atMs, label }) => {
      this.trace.note(`${atMs} ${label}`);
      if (label.startsWith('nemesis')) this.#print(label);
    });
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  /** The nodes that are expected to agree. */
  get members(): readonly SimNode[] {
    return [...this.#members];
  }

  /** Nodes that were never part of the mesh. */
  get strangers(): readonly SimNode[] {
    return this.nodes.filter((node) => !this.#members.has(node) && !node.wasStarted);
  }

  /** It said that it leaves, and was told that it has. */
  noteLeaver(name: string): void {
    this.#leavers.add(this.node(name));
    this.observe({ type: 'left', node: name });
  }

  /** Somebody joined or was expelled. */
  expectMember(name: string, isMember: boolean): void {
    if (isMember) this.#members.add(this.node(name));
    else this.#members.delete(this.node(name));
  }

  get names(): readonly string[] {
    return this.nodes.map(({ name }) => name);
  }

  node(name: string): SimNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** The node with this peer id. */
  nameOf(peerId: string): string {
    return this.#names.get(peerId as PeerId) ?? peerId;
  }

  /** The first node founds, the others join by a ticket; returns when all are members and enough of them vote. */
  async formMesh(): Promise<void> {
    const [first, ...others] = this.members as readonly [SimNode, ...SimNode[]];
    first.start();
    await this.until(() => first.isReady, { limitMs: MESH_READY_LIMIT_MS, what: 'the mesh is founded' });
    if (others.length === 0) return;
    const { ticket } = await this.call(first.name, 'mesh.ticket', { uses: others.length });
    for (const node of others) node.start(ticket);
    const voterCount = this.members.length >= 3 ? 3 : 1;
    await this.until(() => this.members.every(({ isReady }) => isReady) && this.votersAgreed(voterCount), {
      limitMs: MESH_READY_LIMIT_MS,
      what: `${this.members.length} members and ${voterCount} voters`,
    });
  }

  /** Whether all nodes name the same leader and the same voters, at least so many. */
  votersAgreed(atLeast = 1): boolean {
    const views = this.members.map((node) => {
      if (!node.isReady) return 'down';
      const { leader, voters } = node.daemon.node.group.status();
      return JSON.stringify({ leader, voters: [...voters].sort() });
    });
    const [first = 'down'] = views;
    if (first === 'down' || views.some((view) => view !== first)) return false;
    const { leader, voters } = JSON.parse(first) as { leader: string | null; voters: string[] };
    return leader !== null && voters.length >= atLeast;
  }

  /** Calls a method on a node and lets the world run until the answer is there. */
  async call<M extends Method>(name: string, method: M, params: ParamsInput<M>): Promise<Result<M>> {
    return this.settled(this.node(name).call(method, params));
  }

  /** Lets the world run until `promise` settles. */
  async settled<T>(promise: Promise<T>, limitMs = CALL_LIMIT_MS): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.until(() => isSettled, { limitMs, what: 'an answer' });
    return promise;
  }

  async advance(forMs: number): Promise<void> {
    await this.#run({ untilMs: this.nowMs + forMs });
  }

  /** @throws Stuck when it does not become true in time. */
  async until(
    isTrue: () => boolean,
    { limitMs, what, detail }: { readonly limitMs: number; readonly what: string; detail?: () => string },
  ): Promise<void> {
    const untilMs = this.nowMs + limitMs;
    // A condition can be dear: it is asked ten times a virtual second, which also makes it part of the world's order.
    for (;;) {
      let isMet = isTrue();
      if (isMet) return;
      if (this.nowMs >= untilMs) throw new Stuck(`not within ${limitMs} ms: ${what} ${detail?.() ?? ''}`);
      await this.#run({
        untilMs: this.nowMs + STEP_MS,
        condition: () => {
          isMet = this.#failure !== undefined;
          return isMet;
        },
      });
    }
  }

  /** Virtual time passes for whoever waits; does not move the world. */
  pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.scheduler.after(forMs, resolve, 'client');
    });
  }

  /** What a plan can do to this world. */
  get targets(): Omit<NemesisTargets, 'changeMembers'> {
    return {
      scheduler: this.scheduler,
      links: this.links,
      nodes: this.names,
      crash: (name) => this.node(name).crash(),
      restart: (name) => this.#restart(name),
      crashAt: (name, { point, calls, downMs }) => {
        const node = this.node(name);
        node.life?.process.doom(point, calls, () => {
          this.note(`${name} dies ${point}`);
          node.crash();
          node.machine.after(downMs, () => node.start());
        });
      },
      sleep: (name, forMs) => this.#sleep(name, forMs),
      pause: (name, forMs) => {
        this.observe({ type: 'stoodStill', node: name });
        this.node(name).life?.process.pause(forMs);
      },
      failNextSync: (name) => this.node(name).machine.disk.failNextSync(),
      spareNextSync: (name) => this.node(name).machine.disk.spareNextSync(),
      damageDisk: (name, isMisplaced) => this.#damageDisk(name, isMisplaced),
      fillDisk: (name) => this.node(name).machine.disk.fill(),
      freeDisk: (name) => this.node(name).machine.disk.free(),
      jumpWall: (name, byMs) => this.#jumpWall(name, byMs),
    };
  }

  /** How far the wall clock of a machine was ahead at most. Unit: ms. */
  get farthestAheadMs(): number {
    return this.#farthestAheadMs;
  }

  /** Nothing goes wrong any more: links are good, machines run, clocks are set right. */
  heal(): void {
    this.links.calm();
    for (const node of this.nodes) {
      node.machine.disk.free();
      node.machine.disk.spareNextSync();
      node.life?.process.spare();
      const { wallOffsetMs } = node.machine;
      if (wallOffsetMs !== 0) this.#jumpWall(node.name, -wallOffsetMs);
      this.#restart(node.name);
    }
  }

  registryDigests(): readonly string[] {
    return this.members.map((node) => (node.isReady ? node.daemon.node.registry.digest() : 'down'));
  }

  registriesAgree(): boolean {
    const [first, ...others] = this.registryDigests();
    return first !== 'down' && others.every((digest) => digest === first);
  }

  /** Who has left, by its own word or as the group has agreed, and by whom it is still known: `n2 by n1`. */
  leaversKnown(): readonly string[] {
    const agreed = agreedMembers(this.members);
    const erased = this.nodes.filter((node) => node.wasUp && agreed?.has(node.peerId) === false);
    return [...this.#leavers.union(new Set(erased))].flatMap((leaver) =>
      this.members
        .filter(({ isReady, daemon }) => isReady && daemon.node.registry.node(leaver.peerId) !== undefined)
        .map(({ name }) => `${leaver.name} by ${name}`),
    );
  }

  observeRegistries(): void {
    for (const { name, daemon } of this.members)
      this.observe({ type: 'registry', node: name, digest: daemon.node.registry.digest() });
  }

  /** Whoever keeps the root key keeps the present one, and whoever leads does. */
  observeCustody(): void {
    for (const what of brokenCustody(this.members)) this.breach(what);
  }

  /** A law that no observer watches was broken. */
  breach(what: string): void {
    this.note(`breach: ${what}`);
    this.laws.breach(what);
  }

  /**
   * Agents may refuse and fail to answer; they may not fail in ways of which callers are not told. Where a disk is damaged, callers may see
   * the very answer with which its agent ends.
   */
  expectRefusal(error: unknown): void {
    if (!(error instanceof AspenError)) throw error;
    const isDamageTold =
      this.#damaged() !== undefined && error.message.includes('does not match its checksum');
    if (error.code === 'INTERNAL' && !isDamageTold) throw error;
  }

  /** Calls a method on a node. @returns undefined when it was refused or nobody answered. */
  async tried<M extends Method>(
    node: SimNode,
    method: M,
    params: ParamsInput<M>,
  ): Promise<Result<M> | undefined> {
    try {
      return await node.call(method, params);
    } catch (error) {
      this.expectRefusal(error);
      return undefined;
    }
  }

  /** One of the nodes that answer, if any does. */
  pickNode(random: Random): SimNode {
    const ready = this.nodes.filter(({ isReady }) => isReady);
    return randomPick(random, ready.length > 0 ? ready : this.nodes) as SimNode;
  }

  /** As {@link pickNode}, for whoever asks until it is done: a node that was let go answers that nobody leads, each time after many seconds. */
  pickInsider(random: Random): SimNode {
    const ready = this.nodes.filter((node) => node.isReady && this.#members.has(node));
    return randomPick(random, ready.length > 0 ? ready : this.nodes) as SimNode;
  }

  /** A member that answers, if any does. */
  pickMember(): SimNode {
    return (this.members.find(({ isReady }) => isReady) ?? this.members[0]) as SimNode;
  }

  observe(event: Observation): void {
    this.note(`observed ${JSON.stringify(event)}`);
    this.laws.observe(event);
  }

  note(line: string): void {
    this.trace.note(line);
    this.#print(line);
  }

  /** Whoever was expelled and has heard of it does not come up again. */
  #failed(node: SimNode, error: unknown): void {
    const isOut = !this.#members.has(node) && error instanceof AspenError && error.code === 'DENIED';
    if (isOut) this.note(`${node.name} stays down: ${error.message}`);
    else this.fail(error, node.name);
  }

  /** The run ends with this at the next opportunity. */
  fail(error: unknown, where: string): void {
    this.note(`${where} failed: ${error instanceof Error ? error.stack : String(error)}`);
    this.#failure ??= { error };
  }

  #print(line: string): void {
    if (this.#printing === undefined || (this.#printing === 'story' && !isOfTheStory(line))) return;
    // biome-ignore lint/suspicious/noConsole: what `--print` and `--trace` are for
    console.log(`${this.nowMs.toFixed(2).padStart(10)} ${line}`);
  }

  async #run(limits: Parameters<Scheduler['run']>[0]): Promise<void> {
    const end = await this.scheduler.run(limits);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (end === 'events') throw new Error('too many events: something spins');
  }

  /** A machine that was never part of the mesh is not switched on by chance. */
  #restart(name: string): void {
    const node = this.node(name);
    if (node.isInService) node.start();
  }

  #damageDisk(name: string, isMisplaced: boolean): void {
    const { disk } = this.node(name).machine;
    const everything = { from: '', to: '\uffff' };
    const what = isMisplaced
      ? disk.misplaceValue(everything)
      : (disk.flipJournal() ?? disk.flipValue(everything));
    this.note(`${name}: ${what === undefined ? 'nothing to damage' : `damaged ${JSON.stringify(what)}`}`);
  }

  #sleep(name: string, forMs: number): void {
    this.observe({ type: 'stoodStill', node: name });
    const { life } = this.node(name);
    if (life?.clock.sleep(forMs) !== true || forMs < LONG_SLEEP_MS) return;
    this.observe({ type: 'fallsAsleep', node: name });
    const atMs = this.nowMs;
    this.scheduler.after(
      forMs + LOOKED_MS,
      () => {
        const wallSetMs = this.#wallSetMs.get(name) ?? Number.NEGATIVE_INFINITY;
        const wasSeen = wallSetMs < atMs - LOOKED_MS && !life.process.isPaused;
        if (wasSeen && this.node(name).life === life) this.observe({ type: 'slept', node: name });
      },
      `${name} has slept`,
    );
  }

  #damaged(): SimNode | undefined {
    return this.nodes.find(({ machine }) => machine.disk.isDamaged);
  }

  /** No more than one disk of a world is damaged, so damage has an owner. */
  #rejected(reason: unknown): void {
    if (reason instanceof ProcessGone) return;
    const owner = this.#damaged();
    if (reason instanceof StorageFault && reason.kind === 'damaged' && owner !== undefined)
      owner.hasFailed(reason);
    else throw reason;
  }

  #jumpWall(name: string, byMs: number): void {
    const node = this.node(name);
    node.jumpWall(byMs);
    this.#wallSetMs.set(name, this.nowMs);
    this.#farthestAheadMs = Math.max(this.#farthestAheadMs, node.machine.wallOffsetMs);
  }

  #wire(): MemoryNetwork {
    const name = (peerId: PeerId) => this.#names.get(peerId) ?? 'stranger';
    const enter = (peerId: PeerId, arrive: () => void) => {
      const process = this.nodes.find((node) => node.name === name(peerId))?.life?.process;
      if (process === undefined) arrive();
      else process.enter(arrive);
    };
    return new WorldWire(enter, {
      clock: {
        monotonicMs: () => this.scheduler.nowMs,
        wallMs: () => this.scheduler.nowMs,
        setTimer: (afterMs, callback) => {
          const { cancel } = this.scheduler.after(afterMs, callback, 'arrival');
          return { cancel, [Symbol.dispose]: cancel };
        },
      },
      policy: {
        deliveries: (from, to, bytes) => this.links.deliveries(name(from), name(to), bytes),
        isReachable: (from, to) => this.links.isReachable(name(from), name(to)),
      },
    });
  }

  #jobMoves() {
    return {
      assigned: (move: { job: string; token: number; position: number }) =>
        this.observe({ type: 'assigned', ...move }),
      completed: (move: { job: string; token: number; position: number }) =>
        this.observe({ type: 'completed', ...move }),
      opened: (move: { job: string; position: number; isOnce: boolean }) =>
        this.observe({ type: 'opened', ...move }),
      ended: (move: { job: string; state: string; position: number }) =>
        this.observe({ type: 'ended', ...move }),
      breach: (what: string) => this.breach(what),
    };
  }

  #started(node: SimNode, { node: { self, group } }: Daemon): void {
    this.#names.set(self, node.name);
    this.note(`${node.name} is up as ${self}`);
    group.onLeadership(({ term }) => {
      this.observe({ type: 'leader', node: node.name, term });
      return undefined;
    });
    group.onFacts((facts) => this.#changed(node.name, facts));
    group.onApplied(({ index, term, hash }) =>
      this.observe({ type: 'applied', node: node.name, position: index, hash: `${term}/${hash}` }),
    );
  }

  /** Told by every replica; the trace has the hash of what each applied, and needs no more. */
  #changed(by: string, facts: readonly Fact[]): void {
    for (const { module, type, change } of facts) {
      if (module !== 'kv' || type !== 'changed') continue;
      const [revision, key, value] = change as KvChange;
      this.laws.observe({ type: 'changed', by, revision, key, value });
    }
  }
}
