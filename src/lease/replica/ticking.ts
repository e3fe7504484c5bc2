import { type Clock, type Timer, toBeat } from '../../base/index.ts';

export interface TickingComponents {
  readonly clock: Clock;
  /** How many ticks may be counted together at their end. */
  readonly atOnce: () => number;
  /** @param count of ticks that have passed, at least 1. */
  readonly onTicks: (count: number) => void;
}

/**
 * The ticks of a replica. One that only follows is rung for several at once, and counts those that have passed since it was last told that
 * its patience begins anew: at any moment at which it looks it has counted as many as if it had been rung for each of them.
 *
 * - P7 Whoever waits counts no tick before it has begun, and however long a process stood still, it counts no more than it had planned.
 */
export class Ticking implements Disposable {
  readonly #components: TickingComponents;
  readonly #tickMs: number;
  #timer: Timer;
  #isOver = false;
  #plannedTicks = 1;
  #countedMs: number;

  constructor(components: TickingComponents, tickMs: number) {
    this.#components = components;
    this.#tickMs = tickMs;
    this.#countedMs = components.clock.monotonicMs();
    this.#timer = this.#arm();
  }

  /** Patience begins anew: what has passed of the planned ticks is not counted. In a role that waits for single ticks they begin now. */
  restarted(): void {
    const { clock, atOnce } = this.#components;
    this.#countedMs = clock.monotonicMs();
    if (atOnce() >= this.#plannedTicks) return;
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer.cancel();
  }

  #arm(): Timer {
    const { clock, atOnce } = this.#components;
    this.#plannedTicks = atOnce();
    return clock.setTimer(toBeat(clock, this.#plannedTicks * this.#tickMs), () => this.#ring());
  }

  #ring(): void {
    const nowMs = this.#components.clock.monotonicMs();
    const passed = Math.ceil((nowMs - this.#countedMs) / this.#tickMs);
    this.#countedMs = nowMs;
    this.#components.onTicks(Math.max(1, Math.min(this.#plannedTicks, passed))); // P7
    if (!this.#isOver) this.#timer = this.#arm();
  }
}
