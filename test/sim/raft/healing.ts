/**
 * What a cut costs in elections: a group that works, one cut, work goes on, all links heal, work goes on.
 * Nothing else goes wrong, so that every election is of the cut or of its end.
 */
import type { PeerId } from '../../../src/base/brand.ts';
import { randomChance, randomInt, randomPick, SeededRandom } from '../../../src/base/random.ts';
import type { Bug } from './bugs.ts';
import { EventQueue } from './event-queue.ts';
import { Laws } from './laws.ts';
import { Network } from './network.ts';
import { SimNode, type Surroundings } from './node.ts';
import { Trace } from './trace.ts';

export const CUTS = {
  'a follower and the leader do not reach each other': { between: 'leader', ways: 'both' },
  'a follower does not hear the leader': { between: 'leader', ways: 'in' },
  'the leader does not hear a follower': { between: 'leader', ways: 'out' },
  'a follower is isolated': { between: 'all', ways: 'both' },
  'a follower is deaf': { between: 'all', ways: 'in' },
  'a follower is mute': { between: 'all', ways: 'out' },
  'the leader is isolated': { between: 'leader-and-all', ways: 'both' },
  'the leader is deaf': { between: 'leader-and-all', ways: 'in' },
  'the leader is mute': { between: 'leader-and-all', ways: 'out' },
} as const;

export type CutName = keyof typeof CUTS;

export interface Healing {
  /** Leaders made while the links were cut, and after they healed. */
  readonly elections: { readonly during: number; readonly after: number };
  /** How much the highest term of all grew meanwhile. */
  readonly terms: { readonly during: number; readonly after: number };
  /** At the end one leads, and all have applied the same. */
  readonly isSettled: boolean;
}

/** Unit: a tenth of a tick. */
const SETTLING = 1_500;

/** One group, one cut of this kind, from one seed. */
export function healAfter(cut: CutName, seed: number, bug: Bug = {}): Healing {
  return new HealingGroup(seed, bug).live(cut);
}

class HealingGroup {
  readonly #queue = new EventQueue();
  readonly #random: SeededRandom;
  readonly #network: Network;
  readonly #nodes = new Map<PeerId, SimNode>();
  /** A cut-off follower of an idle group has all of the log, and so could win. */
  readonly #isIdle: boolean;
  #elections = 0;
  #proposed = 0;

  constructor(seed: number, bug: Bug) {
    this.#random = new SeededRandom(seed);
    this.#isIdle = randomChance(this.#random, 0.5);
    this.#network = new Network(this.#queue, this.#random.fork());
    this.#network.weather = {
      lossChance: 0,
      duplicateChance: 0.05,
      straggleChance: 0,
      maxDelay: this.#int(2, 9),
    };
    const surroundings: Surroundings = {
      queue: this.#queue,
      network: this.#network,
      random: this.#random.fork(),
      laws: new Laws(),
      trace: new Trace(false),
      bug,
      node: (peer) => this.#nodes.get(peer),
      elected: () => {
        this.#elections += 1;
      },
      acknowledged: () => undefined,
      refused: () => undefined,
      readAnswered: () => undefined,
      committed: () => undefined,
    };
    this.#build(surroundings);
  }

  live(cut: CutName): Healing {
    for (const node of this.#nodes.values()) node.start();
    this.#pass(SETTLING);
    const before = this.#counts();
    this.#cut(cut);
    this.#pass(this.#int(100, 3_000));
    const atHealing = this.#counts();
    this.#network.heal();
    this.#pass(SETTLING);
    const after = this.#counts();
    return {
      elections: {
        during: atHealing.elections - before.elections,
        after: after.elections - atHealing.elections,
      },
      terms: { during: atHealing.term - before.term, after: after.term - atHealing.term },
      isSettled: this.#isSettled(),
    };
  }

  #build(surroundings: Surroundings): void {
    const peers = Array.from({ length: this.#int(3, 8) }, (_, at) => `n${at + 1}` as PeerId);
    const configuration = { voters: peers, outgoing: [], learners: [] };
    const electionTicks = this.#int(6, 13);
    const heartbeatTicks = this.#int(1, Math.floor(electionTicks / 4) + 1);
    for (const self of peers) {
      const options = { self, electionTicks, heartbeatTicks, restTicks: Math.floor(electionTicks / 3) };
      this.#nodes.set(self, new SimNode(options, configuration, surroundings));
    }
  }

  /** Time goes by, and whoever leads is given work unless the group is idle. Unit: a tenth of a tick. */
  #pass(duration: number): void {
    const until = this.#queue.now + duration;
    const work = (): void => {
      const payload = new Uint8Array(this.#int(1, 50));
      for (const node of this.#leaders()) node.propose([payload], [this.#proposed]);
      this.#proposed += 1;
      if (this.#queue.now + 100 < until) this.#queue.after(this.#int(5, 60), work);
    };
    if (!this.#isIdle) work();
    while (this.#queue.next(until));
  }

  #cut(name: CutName): void {
    const { between, ways } = CUTS[name];
    const leader = this.#leader();
    const followers = [...this.#nodes.keys()].filter((peer) => peer !== leader);
    const one = between === 'leader-and-all' ? leader : (randomPick(this.#random, followers) as PeerId);
    const others = between === 'leader' ? [leader] : [...this.#nodes.keys()].filter((peer) => peer !== one);
    for (const other of others) {
      if (ways !== 'in') this.#network.cut(one, other);
      if (ways !== 'out') this.#network.cut(other, one);
    }
  }

  #leaders(): SimNode[] {
    return [...this.#nodes.values()].filter((node) => node.state?.role === 'leader');
  }

  #leader(): PeerId {
    const [leader, ...others] = this.#leaders();
    if (leader === undefined || others.length > 0) throw new Error('the group has not begun with one leader');
    return leader.id;
  }

  #counts(): { readonly elections: number; readonly term: number } {
    const terms = [...this.#nodes.values()].map((node) => node.state?.term ?? 0);
    return { elections: this.#elections, term: Math.max(...terms) };
  }

  #isSettled(): boolean {
    const applied = new Set([...this.#nodes.values()].map((node) => node.appliedIndex));
    return this.#leaders().length === 1 && applied.size === 1;
  }

  #int(from: number, to: number): number {
    return randomInt(this.#random, { from, to });
  }
}
