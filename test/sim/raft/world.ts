import type { PeerId } from '../../../src/base/brand.ts';
import {
  randomChance,
  randomInt,
  randomPick,
  randomShuffle,
  SeededRandom,
} from '../../../src/base/random.ts';
import {
  type ConfigurationChange,
  EMPTY_CONFIGURATION,
  isJoint,
  membersOf,
} from '../../../src/lease/raft/index.ts';
import type { Bug } from './bugs.ts';
import { drawRate, NodeClock } from './clocks.ts';
import { EventQueue } from './event-queue.ts';
import { Laws } from './laws.ts';
import { CALM, Network, type Weather } from './network.ts';
import { SimNode, type Surroundings } from './node.ts';
import type { Trace } from './trace.ts';

/** Accepted work did not finish within the bound after faults had stopped. */
export class Stuck extends Error {
  override readonly name = 'Stuck';
}

/** Once faults have stopped, everything must be done within this. Unit: a tenth of a tick. */
const SETTLE_WITHIN = 8_000;
/** More time for each entry and command that may have to travel alone, one round trip at a time. */
const SETTLE_PER_ENTRY = 20;
const CHECK_EVERY = 200;
/** Added to a seed, it makes one that no other seed has. */
const LEASE_SEEDS = 1_000_000_007;

/** Every other world without a planted bug has leases; `lease-life.ts` has bugs of leases. */
export const NO_BUG: Bug = {};

interface Command {
  readonly payload: Uint8Array;
  state: 'new' | 'offered' | 'acknowledged';
  index: number;
  key: string;
}

/** N replicas, a client, and a source of trouble, all from one seed. */
export class World {
  readonly #queue = new EventQueue();
  readonly #random: SeededRandom;
  readonly #network: Network;
  readonly #laws = new Laws();
  readonly #trace: Trace;
  readonly #nodes = new Map<PeerId, SimNode>();
  readonly #commands: Command[] = [];
  readonly #reads = new Map<number, number>();
  #readsAsked = 0;
  #readsAnswered = 0;
  #committedIndex = 0;
  readonly #fallChance: number;
  /** Chance of all that has to do with leases; undefined in a world without. */
  readonly #leaseRandom: SeededRandom | undefined;
  #leaseReads = 0;
  #isCalm = false;
  /** Reads still to be asked after faults have stopped. */
  #calmReads = 5;

  constructor(seed: number, bug: Bug, trace: Trace) {
    this.#random = new SeededRandom(seed);
    this.#trace = trace;
    this.#fallChance = this.#pick([0, 0, 0.3, 0.8]);
    this.#network = new Network(this.#queue, this.#random.fork());
    const hasLease = bug === NO_BUG && seed % 2 === 0;
    this.#leaseRandom = hasLease ? new SeededRandom(seed + LEASE_SEEDS) : undefined;
    const surroundings: Surroundings = {
      queue: this.#queue,
      network: this.#network,
      random: this.#random.fork(),
      laws: this.#laws,
      trace,
      bug,
      node: (peer) => this.#nodes.get(peer),
      acknowledged: (command, index, key) => this.#acknowledged(command, index, key),
      refused: (command) => this.#refused(command),
      readAnswered: (peer, context, index) => this.#readAnswered(peer, context, index),
      committed: (index) => {
        this.#committedIndex = Math.max(this.#committedIndex, index);
      },
      elected: (peer) => this.#elected(peer),
      ...(this.#leaseRandom && { clockOf: this.#makeClocks(this.#leaseRandom) }),
    };
    this.#build(surroundings);
  }

  get summary(): string {
    const acknowledged = this.#commands.filter(({ state }) => state === 'acknowledged').length;
    return `${this.#nodes.size} nodes, ${this.#laws.committedIndex} entries, ${acknowledged} commands, ${this.#readsAnswered} reads, ${this.#leaseReads} by lease, time ${this.#queue.now}`;
  }

  /** @throws LawBroken, Stuck, or whatever the core throws. */
  run(): void {
    const until = this.#int(3_000, 8_000);
    const troublePause = this.#pick([90, 200, 500]);
    this.#network.weather = this.#drawWeather();
    for (const node of this.#nodes.values()) node.start();
    this.#repeat(
      () => this.#int(10, troublePause),
      () => this.#trouble(),
    );
    this.#repeat(
      () => this.#int(2, 20),
      () => this.#work(),
    );
    const leaseRandom = this.#leaseRandom;
    if (leaseRandom !== undefined)
      this.#repeat(
        () => randomInt(leaseRandom, { from: 1, to: 8 }),
        () => this.#tryLeases(leaseRandom),
      );
    this.#repeat(
      () => CHECK_EVERY,
      () => this.#check(),
    );
    while (this.#queue.next(until));
    this.#calm();
    this.#settle();
  }

  // ---- leases

  #makeClocks(random: SeededRandom): (peer: PeerId) => NodeClock {
    return (peer) => {
      const rate = drawRate(random);
      const offsetMs = randomInt(random, { from: 0, to: 1e9 });
      this.#trace.add(`the clock of ${peer} goes at ${rate}`);
      return new NodeClock(this.#queue, { rate, offsetMs, stopsAsleep: false });
    };
  }

  /** Whoever believes to have a lease is asked, all the time, and sent to sleep once in a while. */
  #tryLeases(random: SeededRandom): void {
    for (const leader of this.#leaders()) {
      const index = leader.leaseReadIndex;
      if (index === undefined) continue;
      this.#leaseReads += 1;
      this.#laws.read(leader.id, index, this.#committedIndex);
    }
    if (this.#isCalm || !randomChance(random, 0.01)) return;
    const sleeper = randomPick(random, [...this.#nodes.values()]);
    if (sleeper?.isUp) sleeper.sleep(randomInt(random, { from: 10, to: 400 }));
  }

  // ---- building

  #build(surroundings: Surroundings): void {
    const count = this.#int(1, 8);
    const peers = Array.from({ length: count }, (_, at) => `n${at + 1}` as PeerId);
    const founders = peers.slice(0, this.#int(1, count + 1));
    const configuration = { voters: founders, outgoing: [], learners: [] };
    const electionTicks = this.#int(5, 11);
    const heartbeatTicks = this.#int(1, Math.floor(electionTicks / 3) + 1);
    const common = {
      electionTicks,
      heartbeatTicks,
      restTicks: electionTicks % 2 === 0 ? Math.floor(electionTicks / 3) : heartbeatTicks,
      appendBytesLimit: this.#pick([1, 100, 1_000, 100_000]),
      inflightAppendsLimit: this.#int(1, 9),
      applyBytesLimit: this.#pick([1, 200, 100_000]),
      uncommittedBytesLimit: this.#pick([500, 5_000, 100_000]),
    };
    for (const self of peers) {
      const own = founders.includes(self) ? configuration : EMPTY_CONFIGURATION;
      this.#nodes.set(self, new SimNode({ self, ...common }, own, surroundings));
    }
    this.#trace.add(`${count} nodes, ${founders.length} founders, ${JSON.stringify(common)}`);
  }

  #drawWeather(): Weather {
    return {
      lossChance: this.#pick([0, 0, 0.02, 0.1, 0.3]),
      duplicateChance: this.#pick([0, 0.05, 0.3]),
      straggleChance: this.#pick([0, 0.05, 0.2]),
      maxDelay: this.#pick([2, 8, 20]),
    };
  }

  #repeat(pause: () => number, action: () => void): void {
    this.#queue.after(pause(), () => {
      action();
      this.#repeat(pause, action);
    });
  }

  // ---- the client

  #work(): void {
    if (this.#calmReads > 0 && randomChance(this.#random, 0.3)) this.#askRead();
    if (!this.#isCalm) {
      for (let count = this.#int(1, 4); count > 0; count -= 1) this.#newCommand();
    }
    const batch = this.#commands.flatMap(({ state }, id) => (state === 'new' ? [id] : [])).slice(0, 20);
    if (batch.length === 0) return;
    const payloads = batch.map((id) => (this.#commands[id] as Command).payload);
    const taker = this.#leaders().find((node) => node.propose(payloads, batch));
    if (taker === undefined) return;
    for (const id of batch) {
      const command = this.#commands[id] as Command;
      if (command.state === 'new') command.state = 'offered';
    }
  }

  #newCommand(): void {
    if (this.#commands.filter(({ state }) => state === 'new').length > 30) return;
    const id = this.#commands.length;
    const payload = new Uint8Array(this.#pick([4, 4, 50, 300]));
    new DataView(payload.buffer).setUint32(0, id);
    this.#commands.push({ payload, state: 'new', index: 0, key: '' });
  }

  #askRead(): void {
    const context = this.#readsAsked;
    const leader = randomPick(this.#random, this.#leaders());
    if (leader === undefined) return;
    this.#readsAsked += 1;
    if (this.#isCalm) this.#calmReads -= 1;
    this.#reads.set(context, this.#committedIndex);
    if (!leader.requestRead(context)) this.#reads.delete(context);
  }

  #readAnswered(peer: PeerId, context: number, index: number | 'failed'): void {
    const floor = this.#reads.get(context);
    this.#reads.delete(context);
    if (floor === undefined || index === 'failed') return;
    this.#readsAnswered += 1;
    this.#laws.read(peer, index, floor);
  }

  #acknowledged(id: number, index: number, key: string): void {
    const command = this.#commands[id] as Command;
    command.state = 'acknowledged';
    command.index = index;
    command.key = key;
  }

  #refused(id: number): void {
    const command = this.#commands[id] as Command;
    if (command.state === 'offered') command.state = 'new';
  }

  // ---- trouble

  #trouble(): void {
    if (this.#isCalm) return;
    const [what] = randomShuffle(this.#random, TROUBLES);
    const node = this.#pick([...this.#nodes.values()]);
    const leader = randomPick(this.#random, this.#leaders());
    this.#trace.add(`${this.#queue.now} trouble: ${what} ${node.id}`);
    switch (what) {
      case 'crash':
        this.#crash(node);
        break;
      case 'crash-leader':
        if (leader !== undefined) this.#crash(leader);
        break;
      case 'crash-all':
        for (const each of this.#nodes.values()) this.#crash(each);
        break;
      case 'cut':
        this.#network.cut(node.id, this.#pick([...this.#nodes.keys()]));
        break;
      case 'isolate':
        this.#isolate(leader !== undefined && randomChance(this.#random, 0.5) ? leader : node);
        break;
      case 'split':
        this.#split();
        break;
      case 'heal':
        this.#network.heal();
        break;
      case 'weather':
        this.#network.weather = this.#drawWeather();
        break;
      case 'disk':
        node.writeDelay = this.#pick([1, 3, 30, 100]);
        break;
      case 'change':
        leader?.change(this.#drawChange());
        break;
      case 'transfer':
        leader?.transfer(node.id);
        break;
      case 'compact':
        if (node.isUp) node.compact();
        break;
    }
  }

  #crash(node: SimNode): void {
    if (!node.isUp) return;
    node.crash();
    this.#queue.after(this.#pick([5, 50, 400]), () => {
      if (!node.isUp) node.start();
    });
  }

  /** Figure 8 of the paper needs leaders that fall soon after they won, with little of their log sent. */
  #elected(peer: PeerId): void {
    if (this.#isCalm || !randomChance(this.#random, this.#fallChance)) return;
    const node = this.#nodes.get(peer) as SimNode;
    this.#queue.after(this.#int(1, 30), () => {
      if (!this.#isCalm) this.#crash(node);
    });
  }

  #isolate(node: SimNode): void {
    const ways = this.#pick(['in', 'out', 'both'] as const);
    for (const other of this.#nodes.keys()) {
      if (other === node.id) continue;
      if (ways !== 'in') this.#network.cut(node.id, other);
      if (ways !== 'out') this.#network.cut(other, node.id);
    }
  }

  #split(): void {
    const peers = randomShuffle(this.#random, [...this.#nodes.keys()]);
    const half = this.#int(1, peers.length + 1);
    for (const here of peers.slice(0, half)) {
      for (const there of peers.slice(half)) {
        this.#network.cut(here, there);
        this.#network.cut(there, here);
      }
    }
  }

  #drawChange(): ConfigurationChange {
    const peers = randomShuffle(this.#random, [...this.#nodes.keys()]);
    const stays = peers.pop() as PeerId;
    const take = (): PeerId[] => peers.splice(0, this.#pick([0, 0, 1, 1, 2]));
    return { addLearners: take(), promote: [stays, ...take()], demote: take(), remove: take() };
  }

  // ---- looking

  #leaders(): SimNode[] {
    return [...this.#nodes.values()].filter((node) => node.state?.role === 'leader');
  }

  #check(): void {
    const nodes = [...this.#nodes.values()].filter((node) => node.isUp);
    for (const [at, a] of nodes.entries()) {
      a.checkView();
      for (const b of nodes.slice(at + 1)) {
        const to = Math.min(a.viewEnd, b.viewEnd);
        this.#laws.match({ peer: a.id, log: a.log }, { peer: b.id, log: b.log }, { from: 1, to });
      }
    }
  }

  // ---- the end

  #calm(): void {
    this.#isCalm = true;
    this.#trace.add(`${this.#queue.now} calm`);
    this.#network.heal();
    this.#network.weather = { ...CALM };
    for (const node of this.#nodes.values()) {
      node.writeDelay = 3;
      if (!node.isUp) node.start();
    }
    this.#newCommand();
  }

  #settle(): void {
    const longest = Math.max(...[...this.#nodes.values()].map((node) => node.viewEnd));
    const within = SETTLE_WITHIN + SETTLE_PER_ENTRY * (longest + this.#commands.length);
    const until = this.#queue.now + within;
    while (this.#unsettled() !== null) {
      if (!this.#advance(until))
        throw new Stuck(`not settled ${within} after faults stopped: ${this.#unsettled()}`);
    }
    this.#check();
    for (const { index, key } of this.#commands) this.#laws.acknowledged(index, key);
  }

  /** Looking costs more than an event: it is done once in a while. */
  #advance(until: number): boolean {
    const pause = this.#queue.now + 20;
    let isRunning = true;
    while (isRunning && this.#queue.now < pause) isRunning = this.#queue.next(until);
    return isRunning;
  }

  /** @returns what is not done yet; null when all is. */
  #unsettled(): string | null {
    const leaders = this.#leaders();
    const leader = leaders[0];
    if (leader?.state == null || leaders.length !== 1) return `${leaders.length} leaders`;
    const { configuration, commitIndex, lastIndex } = leader.state;
    if (isJoint(configuration)) return 'the configuration is joint';
    const open = this.#commands.filter(({ state }) => state !== 'acknowledged').length;
    if (open > 0) return `${open} commands are not acknowledged`;
    if (this.#reads.size + this.#calmReads > 0) return `${this.#reads.size} reads are not answered`;
    if (commitIndex !== lastIndex) return `${lastIndex - commitIndex} entries are not committed`;
    const behind = membersOf(configuration).find(
      (peer) => this.#nodes.get(peer)?.appliedIndex !== commitIndex,
    );
    return behind === undefined ? null : `${behind} is behind`;
  }

  #int(from: number, to: number): number {
    return randomInt(this.#random, { from, to });
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#int(0, items.length)] as T;
  }
}

/** More of a kind makes it likelier. */
const TROUBLES = [
  'crash',
  'crash',
  'crash-leader',
  'crash-leader',
  'crash-all',
  'cut',
  'cut',
  'isolate',
  'split',
  'heal',
  'heal',
  'heal',
  'weather',
  'disk',
  'change',
  'change',
  'transfer',
  'compact',
  'compact',
] as const;
