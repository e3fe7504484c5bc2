/**
 * Clocks of the nodes where leaders hold leases: each goes at a speed of its own, within the bound that a lease is made for (R12).
 * A tick is 100 ms of the own clock; the world counts in tenths of a tick of a perfect one.
 */
import { type Random, randomFloat, randomPick } from '../../../src/base/random.ts';
import { CLOCK_DRIFT_BOUND } from '../../../src/lease/raft/leader-lease.ts';
import type { EventQueue } from './event-queue.ts';

const UNITS_PER_TICK = 10;
const MS_PER_UNIT = 10;

export class NodeClock {
  readonly #queue: EventQueue;
  readonly #rate: number;
  readonly #stopsAsleep: boolean;
  readonly #offsetMs: number;
  #lostUnits = 0;

  constructor(
    queue: EventQueue,
    given: { readonly rate: number; readonly offsetMs: number; readonly stopsAsleep: boolean },
  ) {
    this.#queue = queue;
    this.#rate = given.rate;
    this.#offsetMs = given.offsetMs;
    this.#stopsAsleep = given.stopsAsleep;
  }

  /** Unit: tenths of a perfect tick. */
  get tickEvery(): number {
    return UNITS_PER_TICK / this.#rate;
  }

  get monotonicMs(): number {
    return this.#offsetMs + (this.#queue.now - this.#lostUnits) * MS_PER_UNIT * this.#rate;
  }

  slept(units: number): void {
    if (this.#stopsAsleep) this.#lostUnits += units;
  }
}

/** @returns how fast a clock goes; those of any two nodes differ by no more than the bound. */
export function drawRate(random: Random): number {
  const most = CLOCK_DRIFT_BOUND / 2;
  return 1 + most * (randomPick(random, [-1, -1, 0, 1, 1, 2 * randomFloat(random) - 1]) as number);
}
