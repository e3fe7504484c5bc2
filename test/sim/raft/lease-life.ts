/**
 * What a lease has to outlast, again and again in one short life: the first node leads and holds a lease, and is then cut off, or put to sleep,
 * while others are started anew and elect another. Whoever believes in a lease is read from all the time.
 */
import type { PeerId } from '../../../src/base/brand.ts';
import { randomInt, randomPick, SeededRandom } from '../../../src/base/random.ts';
import type { Bug } from './bugs.ts';
import { drawRate, NodeClock } from './clocks.ts';
import { EventQueue } from './event-queue.ts';
import { Laws } from './laws.ts';
import { Network } from './network.ts';
import { SimNode, type Surroundings } from './node.ts';
import { Trace } from './trace.ts';

/** Ways to tempt a leader into a stale read; each bug below makes one of them succeed. */
export const TEMPTATIONS = ['isolate', 'sleep', 'restart-followers'] as const;
export type Temptation = (typeof TEMPTATIONS)[number];

export const LEASE_BUGS: Readonly<Record<string, Bug>> = {
  /** The clock of the leader goes at less than half of its speed: others have long counted to the end of its lease. */
  'clock-beyond-its-bounds': { clocks: { rates: { n1: 0.4 } } },
  /** A leader that slept finds its lease as it left it. */
  'clock-stops-asleep': { clocks: { stopAsleep: true } },
  /** A node that was started again votes at once, though it may have echoed a beat just before. */
  'forget-the-word': { clocks: {}, forgetsItsWord: true },
};

/** Unit: a tenth of a tick. */
const SETTLING = 600;
const TEMPTED = 400;
const IDLE = 50;

/** @returns how many reads were answered by lease. @throws LawBroken for a stale one. */
export function livesByLease(temptation: Temptation, seed: number, bug: Bug = {}): number {
  return new LeaseGroup(seed, bug).live(temptation);
}

class LeaseGroup {
  readonly #queue = new EventQueue();
  readonly #random: SeededRandom;
  readonly #network: Network;
  readonly #laws = new Laws();
  readonly #nodes = new Map<PeerId, SimNode>();
  #isIdle = false;
  #committed = 0;
  #readCount = 0;
  #proposed = 0;

  constructor(seed: number, bug: Bug) {
    this.#random = new SeededRandom(seed);
    this.#network = new Network(this.#queue, this.#random.fork());
    this.#build({
      queue: this.#queue,
      network: this.#network,
      random: this.#random.fork(),
      laws: this.#laws,
      trace: new Trace(false),
      bug,
      clockOf: (peer) => this.#clockOf(peer, bug),
      node: (peer) => this.#nodes.get(peer),
      committed: (index) => {
        this.#committed = Math.max(this.#committed, index);
      },
      elected: () => undefined,
      acknowledged: () => undefined,
      refused: () => undefined,
      readAnswered: () => undefined,
    });
  }

  live(temptation: Temptation): number {
    for (const node of this.#nodes.values()) node.start();
    this.#repeat(1, 4, () => this.#readByLease());
    this.#repeat(3, 15, () => this.#propose());
    for (let round = 0; round < 5; round += 1) {
      this.#pass(SETTLING);
      for (const leader of this.#leaders()) if (leader.id !== this.#first.id) leader.transfer(this.#first.id);
      this.#pass(SETTLING);
      this.#tempt(temptation);
      this.#network.heal();
    }
    return this.#readCount;
  }

  #tempt(temptation: Temptation): void {
    const followers = [...this.#nodes.values()].filter((node) => node !== this.#first);
    if (temptation === 'restart-followers') {
      const lonely = randomPick(this.#random, followers) as SimNode;
      this.#isIdle = true; // or its log would be too short to win
      this.#pass(IDLE);
      this.#part(this.#first, lonely); // it asks for votes until somebody has forgotten its word
      this.#pass(SETTLING);
      for (const node of followers) if (node !== lonely) this.#restart(node);
      this.#isIdle = false;
    }
    for (const node of followers) this.#part(this.#first, node);
    if (temptation === 'sleep') this.#first.sleep(this.#int(80, 300));
    this.#pass(TEMPTED);
  }

  #build(surroundings: Surroundings): void {
    const peers = Array.from({ length: this.#int(3, 6) }, (_, at) => `n${at + 1}` as PeerId);
    const configuration = { voters: peers, outgoing: [], learners: [] };
    const electionTicks = this.#int(6, 11);
    for (const self of peers)
      this.#nodes.set(self, new SimNode({ self, electionTicks }, configuration, surroundings));
  }

  #clockOf(peer: PeerId, { clocks }: Bug): NodeClock {
    const rate = clocks?.rates?.[peer] ?? drawRate(this.#random);
    const offsetMs = this.#int(0, 1e9);
    return new NodeClock(this.#queue, { rate, offsetMs, stopsAsleep: clocks?.stopAsleep ?? false });
  }

  get #first(): SimNode {
    return this.#nodes.get('n1' as PeerId) as SimNode;
  }

  #leaders(): SimNode[] {
    return [...this.#nodes.values()].filter((node) => node.state?.role === 'leader');
  }

  #readByLease(): void {
    for (const leader of this.#leaders()) {
      const index = leader.leaseReadIndex;
      if (index === undefined) continue;
      this.#readCount += 1;
      this.#laws.read(leader.id, index, this.#committed);
    }
  }

  #propose(): void {
    if (this.#isIdle) return;
    this.#proposed += 1;
    for (const leader of this.#leaders())
      if (!leader.isAsleep) leader.propose([new Uint8Array(4)], [this.#proposed]);
  }

  #restart(node: SimNode): void {
    node.crash();
    this.#queue.after(this.#int(1, 10), () => node.start());
  }

  #part(a: SimNode, b: SimNode): void {
    this.#network.cut(a.id, b.id);
    this.#network.cut(b.id, a.id);
  }

  #repeat(from: number, to: number, action: () => void): void {
    this.#queue.after(this.#int(from, to), () => {
      action();
      this.#repeat(from, to, action);
    });
  }

  #pass(duration: number): void {
    const until = this.#queue.now + duration;
    while (this.#queue.next(until));
  }

  #int(from: number, to: number): number {
    return randomInt(this.#random, { from, to });
  }
}
