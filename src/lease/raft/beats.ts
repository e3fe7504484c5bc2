/**
 * When a leader speaks though it has nothing to say.
 *
 * R14 A leader at rest still beats three times in an election timeout, and rests only while nobody waits: all is committed and held by
 *     everybody who answers, no read is open, and nothing was proposed for an election timeout. Whoever follows it campaigns no later
 *     for that: its patience runs from the last beat, and the last beat before a death is then an older one.
 */
export interface BeatOptions {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly restTicks: number;
}

export class Beats {
  readonly #options: BeatOptions;
  #lastTick = 0;
  #workedAtTick = 0;

  constructor(options: BeatOptions) {
    this.#options = options;
  }

  /** Something was proposed. */
  worked(tick: number): void {
    this.#workedAtTick = tick;
  }

  /** All were spoken to. */
  beaten(tick: number): void {
    this.#lastTick = tick;
  }

  isLongIdle(tick: number): boolean {
    return tick - this.#workedAtTick >= this.#options.electionTicks;
  }

  isDue(tick: number, isAtRest: boolean): boolean {
    const { restTicks, heartbeatTicks } = this.#options;
    return tick - this.#lastTick >= (isAtRest ? restTicks : heartbeatTicks); // R14
  }
}
