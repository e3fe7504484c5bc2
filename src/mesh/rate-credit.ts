export interface Rate {
  /** What may be spent at once after a rest. */
  readonly burst: number;
  readonly perSecond: number;
}

/** What may be spent now, where it grows at a rate up to a burst. */
export class RateCredit {
  readonly #rate: Rate;
  #left: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#atMs = nowMs;
  }

  left(nowMs: number): number {
    const { burst, perSecond } = this.#rate;
    const earned = (Math.max(0, nowMs - this.#atMs) * perSecond) / 1_000;
    this.#left = Math.min(burst, this.#left + earned);
    this.#atMs = Math.max(this.#atMs, nowMs);
    return this.#left;
  }

  /** One. The caller has seen that it is there. */
  spend(): void {
    this.#left -= 1;
  }

  /** What was spent turned out to cost nothing. */
  giveBack(): void {
    this.#left = Math.min(this.#rate.burst, this.#left + 1);
  }
}
