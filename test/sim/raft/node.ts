import type { LogIndex, PeerId } from '../../../src/base/brand.ts';
import { type Random, randomChance, randomInt, type SeededRandom } from '../../../src/base/random.ts';
import {
  type Configuration,
  type ConfigurationChange,
  type Entry,
  type Message,
  Raft,
  type RaftOptions,
  type RaftState,
  type Ready,
} from '../../../src/lease/raft/index.ts';
import type { Bug } from './bugs.ts';
import type { NodeClock } from './clocks.ts';
import { Disk, type MachineState, type Snapshot } from './disk.ts';
import type { EventQueue } from './event-queue.ts';
import { keyOf, LawBroken, type Laws } from './laws.ts';
import type { Network } from './network.ts';
import type { Trace } from './trace.ts';

/** Readies taken in a row before the core counts as running in circles. */
const READIES_LIMIT = 20_000;
/** After this long without word of a snapshot the leader's driver reports it as failed. Unit: a tenth of a tick. */
const SNAPSHOT_PATIENCE = 150;

/** What a node needs from the world around it. */
export interface Surroundings {
  readonly queue: EventQueue;
  readonly network: Network;
  readonly random: SeededRandom;
  readonly laws: Laws;
  readonly trace: Trace;
  readonly bug: Bug;
  /** Undefined where leaders hold no leases. */
  clockOf?(peer: PeerId): NodeClock;
  node(peer: PeerId): SimNode | undefined;
  acknowledged(command: number, index: number, key: string): void;
  refused(command: number): void;
  readAnswered(peer: PeerId, context: number, index: number | 'failed'): void;
  committed(index: number): void;
  elected(peer: PeerId): void;
}

interface Waiting {
  readonly term: number;
  readonly command: number;
}

/** One replica: a core, its disk, its machine, and a driver with no rules, only order. */
export class SimNode {
  readonly id: PeerId;
  readonly disk: Disk;
  readonly #options: RaftOptions;
  readonly #world: Surroundings;
  readonly #random: Random;
  readonly #tickEvery: number;
  readonly #clock: NodeClock | undefined;
  #raft: Raft | null = null;
  #machine: MachineState;
  /** Counts lives, so that what an earlier life began does not reach a later one. */
  #life = 0;
  /** The log as the Readies wrote it, durable or not. */
  #view = new Map<number, Entry>();
  #viewEnd = 0;
  #waiting = new Map<number, Waiting>();
  readonly #reads = new Set<number>();
  #isPumpPlanned = false;
  #isWriting = false;
  #sleepsUntil = 0;
  writeDelay = 3;

  constructor(options: RaftOptions, configuration: Configuration, world: Surroundings) {
    this.id = options.self;
    this.#options = options;
    this.#world = world;
    this.#random = world.random.fork();
    this.disk = new Disk(configuration);
    this.#machine = this.disk.machine;
    this.#clock = world.clockOf?.(this.id);
    const drawn = randomInt(this.#random, { from: 8, to: 13 });
    this.#tickEvery = this.#clock?.tickEvery ?? drawn;
  }

  get isUp(): boolean {
    return this.#raft !== null;
  }

  get state(): RaftState | null {
    return this.#raft?.state ?? null;
  }

  get appliedIndex(): number {
    return this.#machine.index;
  }

  get log(): (index: number) => Entry | undefined {
    return (index) => this.#view.get(index);
  }

  get viewEnd(): number {
    return this.#viewEnd;
  }

  start(): void {
    this.#life += 1;
    this.#machine = this.disk.machine;
    this.#view = new Map();
    for (const entry of this.disk.entries(
      this.disk.firstIndex(),
      (this.disk.lastIndex() + 1) as LogIndex,
      1e9,
    )) {
      this.#view.set(entry.index, entry);
    }
    this.#viewEnd = this.disk.lastIndex();
    this.#raft = new Raft(
      this.#options,
      {
        random: this.#random,
        log: this.disk,
        commitRule: this.#world.bug.commitRule,
        ...this.#leaseClock(),
      },
      {
        hardState: this.disk.hardState,
        configuration: this.disk.latestConfiguration(),
        appliedIndex: this.#machine.index as LogIndex,
      },
    );
    this.#note(
      `up, term ${this.disk.hardState.term} last ${this.disk.lastIndex()} applied ${this.#machine.index}`,
    );
    this.#planTick();
  }

  #leaseClock(): { monotonicMs?: () => number } {
    const clock = this.#clock;
    if (clock === undefined || (this.#world.bug.forgetsItsWord && this.#life > 1)) return {};
    return { monotonicMs: () => clock.monotonicMs };
  }

  /** The process stands still, and what is meant for it waits; its clock goes on. Unit: a tenth of a tick. */
  sleep(units: number): void {
    if (this.isAsleep) return;
    this.#note(`sleeps for ${units}`);
    this.#sleepsUntil = this.#world.queue.now + units;
    this.#clock?.slept(units);
  }

  get isAsleep(): boolean {
    return this.#world.queue.now < this.#sleepsUntil;
  }

  /** What a leader may answer without asking anybody; undefined without a lease. */
  get leaseReadIndex(): number | undefined {
    const state = this.isAsleep ? null : this.state;
    return state?.leaseUntilMs === undefined ? undefined : state.commitIndex;
  }

  crash(): void {
    if (this.#raft === null) return;
    this.#sleepsUntil = 0;
    const survivors = randomInt(this.#random, { from: 0, to: this.disk.pendingCount + 1 });
    this.#note(`crash, ${survivors} of ${this.disk.pendingCount} writes survive`);
    this.disk.crash(survivors);
    this.#raft = null;
    this.#isWriting = false;
    this.#isPumpPlanned = false;
    for (const { command } of this.#waiting.values()) this.#world.refused(command);
    this.#waiting.clear();
    for (const context of this.#reads) this.#world.readAnswered(this.id, context, 'failed');
    this.#reads.clear();
    this.#life += 1;
  }

  propose(payloads: readonly Uint8Array[], commands: readonly number[]): boolean {
    const result = this.#raft?.propose(payloads);
    if (result === undefined || 'refused' in result) return false;
    commands.forEach((command, at) => {
      this.#waiting.set(result.firstIndex + at, { term: result.term, command });
    });
    this.#note(`propose ${commands.join(',')} at ${result.firstIndex}/${result.term}`);
    this.#touched();
    return true;
  }

  change(change: ConfigurationChange): void {
    const result = this.#raft?.proposeConfiguration(change);
    this.#note(`change ${JSON.stringify(change)}: ${JSON.stringify(result)}`);
    this.#touched();
  }

  transfer(to: PeerId): void {
    this.#note(`transfer to ${to}: ${this.#raft?.transferLeadership(to)}`);
    this.#touched();
  }

  requestRead(context: number): boolean {
    if (this.#raft === null || !this.#raft.requestRead(context, context % 3 === 0 ? 'with-beat' : 'now'))
      return false;
    this.#reads.add(context);
    if (this.#world.bug.readsWithoutRound) {
      this.#world.readAnswered(this.id, context, this.#raft.state.commitIndex);
    }
    this.#touched();
    return true;
  }

  compact(): void {
    const index = randomInt(this.#random, {
      from: this.disk.firstIndex() - 1,
      to: this.disk.machine.index + 1,
    });
    this.#write(
      () => {
        if (index < this.disk.firstIndex()) return;
        this.disk.compact(index, this.disk.configurationAt(index));
      },
      () => this.#note(`compacted up to ${index}`),
    );
  }

  /** @returns false when the process runs; otherwise `later` is called once it does. */
  #isPutOff(later: () => void): boolean {
    if (!this.isAsleep) return false;
    const life = this.#life;
    this.#world.queue.after(this.#sleepsUntil - this.#world.queue.now, () => {
      if (life === this.#life) later();
    });
    return true;
  }

  receive(message: Message): void {
    if (this.#raft === null || this.#isPutOff(() => this.receive(message))) return;
    this.#raft.step(message);
    this.#touched();
  }

  #planTick(): void {
    const life = this.#life;
    this.#world.queue.after(this.#tickEvery, () => {
      if (life !== this.#life) return;
      if (!this.isAsleep) this.#raft?.tick();
      if (!this.isAsleep) this.#touched();
      this.#planTick();
    });
  }

  /** Readies are mostly taken at once, sometimes later, so that several inputs meet in one. */
  #touched(): void {
    if (this.#isPumpPlanned) return;
    if (randomChance(this.#random, 0.7)) {
      this.#pump();
      return;
    }
    this.#isPumpPlanned = true;
    const life = this.#life;
    this.#world.queue.after(randomInt(this.#random, { from: 1, to: 6 }), () => {
      if (life !== this.#life) return;
      this.#isPumpPlanned = false;
      this.#pump();
    });
  }

  #pump(): void {
    const raft = this.#raft;
    if (raft === null || this.#isPutOff(() => this.#pump())) return;
    for (let count = 0; raft.hasReady(); count += 1) {
      if (count > READIES_LIMIT) throw new Error(`${this.id} never runs out of Readies`);
      this.#handle(raft, raft.takeReady());
    }
    const { role, term, commitIndex } = raft.state;
    if (role === 'leader') this.#world.laws.leads(this.id, term);
    this.#world.committed(commitIndex);
  }

  #handle(raft: Raft, ready: Ready): void {
    this.#see(ready);
    if (ready.leadership !== null) this.#leadershipChanged(ready.leadership, raft.state.term);
    this.#persist(ready);
    for (const message of ready.send) this.#send(message);
    for (const entry of ready.commit) this.#apply(entry, raft.state.term);
    if (ready.commit.length > 0) this.#persistMachine();
    for (const { context, index } of ready.reads) this.#readAnswered(context, index);
    for (const context of ready.failedReads) this.#readAnswered(context, 'failed');
    for (const peer of ready.snapshotTo) this.#sendSnapshot(peer);
  }

  #readAnswered(context: number, index: number | 'failed'): void {
    if (!this.#reads.delete(context)) throw new LawBroken(`${this.id} answers read ${context} twice`);
    this.#world.readAnswered(this.id, context, index);
  }

  #see({ persist }: Ready): void {
    if (persist === null) return;
    const { truncateFrom, entries } = persist;
    for (let index: number = truncateFrom ?? this.#viewEnd + 1; index <= this.#viewEnd; index += 1)
      this.#view.delete(index);
    for (const entry of entries) this.#view.set(entry.index, entry);
    this.#viewEnd = persist.entries.at(-1)?.index ?? this.#viewEnd;
  }

  #leadershipChanged(leadership: 'gained' | 'lost', term: number): void {
    this.#note(`leadership ${leadership} in term ${term}`);
    if (leadership === 'lost') for (const { command } of this.#waiting.values()) this.#world.refused(command);
    if (leadership === 'gained') this.#world.elected(this.id);
    if (leadership === 'gained') this.#world.laws.elected(this.id, term, this.log, this.disk.firstIndex());
  }

  #persist(ready: Ready): void {
    const { bug } = this.#world;
    const { sequence, sendAfterPersist } = ready;
    const late = bug.sendsBeforePersist ? [] : sendAfterPersist;
    if (bug.sendsBeforePersist) for (const message of sendAfterPersist) this.#send(message);
    if (ready.persist === null) {
      if (late.length > 0) throw new Error('messages wait for a write that does not exist');
      return;
    }
    const persist = bug.distort?.(ready.persist) ?? ready.persist;
    const acknowledge = (): void => {
      this.#raft?.persisted(sequence);
      for (const message of late) this.#send(message);
      this.#touched();
    };
    if (!bug.skipsSync) {
      this.#write(() => this.disk.write(persist), acknowledge);
      return;
    }
    this.#write(
      () => this.disk.write(persist),
      () => this.#touched(),
    );
    for (const message of late) this.#send(message);
    this.#raft?.persisted(sequence);
  }

  #persistMachine(): void {
    const state = this.#machine;
    this.#write(
      () => {
        this.disk.machine = state;
      },
      () => this.#raft?.applied(state.index as LogIndex),
    );
  }

  #write(change: () => void, done: () => void): void {
    this.disk.queue(change, done);
    if (!this.#isWriting) this.#writeNext();
  }

  #writeNext(): void {
    this.#isWriting = this.disk.pendingCount > 0;
    if (!this.#isWriting) return;
    const life = this.#life;
    const complete = (): void => {
      if (life !== this.#life || this.#isPutOff(complete)) return;
      this.disk.completeNext();
      this.#writeNext();
    };
    this.#world.queue.after(randomInt(this.#random, { from: 1, to: this.writeDelay + 1 }), complete);
  }

  #apply(entry: Entry, term: number): void {
    this.#machine = this.#world.laws.applied(this.id, this.#machine, entry, term);
    const waiting = this.#waiting.get(entry.index);
    if (waiting === undefined) return;
    this.#waiting.delete(entry.index);
    if (waiting.term === entry.term) this.#world.acknowledged(waiting.command, entry.index, keyOf(entry));
    else this.#world.refused(waiting.command);
  }

  #send(said: Message): void {
    const message = this.#world.bug.distortMessage?.(said) ?? said;
    this.#world.laws.sent(message);
    this.#world.network.send(this.id, message.to, () => this.#world.node(message.to)?.receive(message));
  }

  // ---- snapshots, streamed by the driver

  #sendSnapshot(to: PeerId): void {
    const { machine } = this.disk;
    const { index, term, configuration } = machine;
    const meta = { index: index as LogIndex, term: term as Snapshot['meta']['term'], configuration };
    this.#note(`snapshot ${index} to ${to}`);
    const life = this.#life;
    let isSettled = false;
    const settle = (result: { index: LogIndex } | 'failed'): void => {
      if (isSettled || life !== this.#life || this.#isPutOff(() => settle(result))) return;
      isSettled = true;
      this.#raft?.reportSnapshot(to, result);
      this.#touched();
    };
    this.#world.queue.after(SNAPSHOT_PATIENCE, () => settle('failed'));
    this.#world.network.send(this.id, to, () => {
      this.#world.node(to)?.receiveSnapshot({ meta, state: machine }, (result) => {
        this.#world.network.send(to, this.id, () => settle(result));
      });
    });
  }

  receiveSnapshot(snapshot: Snapshot, answer: (result: { index: LogIndex } | 'failed') => void): void {
    const raft = this.#raft;
    if (raft === null || this.#isPutOff(() => this.receiveSnapshot(snapshot, answer))) return;
    const { meta, state } = snapshot;
    if (!this.#world.bug.installsBlindly && !raft.beginSnapshot(meta)) {
      answer(raft.state.commitIndex >= meta.index ? { index: meta.index } : 'failed');
      this.#touched();
      return;
    }
    this.#write(
      () => this.disk.install(snapshot),
      () => {
        this.#world.laws.installed(this.id, state);
        this.#machine = state;
        this.#view = new Map();
        this.#viewEnd = meta.index;
        raft.installSnapshot(meta);
        this.#note(`installed ${meta.index}/${meta.term}`);
        answer({ index: meta.index });
        this.#touched();
      },
    );
  }

  #note(fact: string): void {
    this.#world.trace.add(`${this.#world.queue.now} ${this.id} ${fact}`);
  }

  /** @throws LawBroken when the core holds on to what the driver has been told otherwise. */
  checkView(): void {
    const last = this.#raft?.state.lastIndex;
    if (last !== undefined && last < this.#machine.index) {
      throw new LawBroken(`${this.id} applied ${this.#machine.index} but its log ends at ${last}`);
    }
  }
}
