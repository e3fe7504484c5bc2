import type { Clock } from '../base/index.ts';

/**
 * Time that also passes while the machine sleeps, made of the two that a clock has: what wall time gained on monotonic time between two
 * looks is taken for sleep. A wall clock set forward counts as sleep too, which ends promises early and never late; one set back counts
 * as nothing. What neither clock shows - a sleep during which the wall clock was set back as far - stays unseen.
 */
export class WakingClock {
  readonly #clock: Clock;
  #lastMonotonicMs: number;
  #lastWallMs: number;
  #sleptMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMonotonicMs = clock.monotonicMs();
    this.#lastWallMs = clock.wallMs();
  }

  /** Never goes back. Unit: ms. */
  nowMs(): number {
    const [monotonicMs, wallMs] = [this.#clock.monotonicMs(), this.#clock.wallMs()];
    const gainedMs = wallMs - this.#lastWallMs - (monotonicMs - this.#lastMonotonicMs);
    if (gainedMs >= NOTICED_MS) this.#sleptMs += gainedMs;
    if (Math.abs(gainedMs) >= NOTICED_MS || monotonicMs - this.#lastMonotonicMs >= LOOK_EVERY_MS) {
      this.#lastMonotonicMs = monotonicMs;
      this.#lastWallMs = wallMs;
    }
    return monotonicMs + this.#sleptMs;
  }
}

/** Below it the two clocks only round and drift. Unit: ms. */
const NOTICED_MS = 10;
/** How long a look is compared with; a slow drift within it is not taken for sleep. Unit: ms. */
const LOOK_EVERY_MS = 100;
