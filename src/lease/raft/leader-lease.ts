/**
 * How long a leader may answer reads without a round, if it was asked to trust clocks (dissertation, section 6.4.1).
 *
 * R12 The lease counts from before the round left that a quorum has echoed, and is shorter than the time in which none of that quorum
 *     votes for another: by one tick, since a follower's first one may come at once, and by the drift bound. It is void after a
 *     hand-over was begun, for as long as this leadership lasts, and after a change of members until a later round is echoed.
 */

/** By how much the clocks of two nodes may go apart, as a share of the time that passes. */
export const CLOCK_DRIFT_BOUND = 0.1;
/** Rounds without an echo whose begin is remembered; older ones can no longer matter. */
const ROUNDS_LIMIT = 1_024;

export interface LeaderLeaseOptions {
  readonly electionTicks: number;
  /** Unit: ms. */
  readonly tickMs: number;
}

/** @returns how long a lease lasts from the begin of its round. Unit: ms. */
export function leaseMs({ electionTicks, tickMs }: LeaderLeaseOptions): number {
  return (electionTicks - 1) * tickMs * (1 - CLOCK_DRIFT_BOUND);
}

export class LeaderLease {
  readonly #durationMs: number;
  readonly #monotonicMs: () => number;
  #begun: { readonly round: number; readonly atMs: number }[] = [];
  #untilMs = Number.NEGATIVE_INFINITY;
  #isRevoked = false;

  /** @param monotonicMs the leader's own clock, which never goes back and counts sleep. */
  constructor(options: LeaderLeaseOptions, monotonicMs: () => number) {
    this.#durationMs = leaseMs(options);
    this.#monotonicMs = monotonicMs;
  }

  /** On the leader's own monotonic clock; undefined without a lease. Unit: ms. */
  get untilMs(): number | undefined {
    return this.#isRevoked || this.#monotonicMs() >= this.#untilMs ? undefined : this.#untilMs;
  }

  /** To be called before the messages of a round leave. */
  begin(round: number): void {
    this.#begun.push({ round, atMs: this.#monotonicMs() });
    if (this.#begun.length > ROUNDS_LIMIT) this.#begun.shift();
  }

  /** @param round highest one that a quorum has echoed. */
  agreed(round: number): void {
    while (this.#begun[0] !== undefined && this.#begun[0].round <= round) {
      this.#untilMs = (this.#begun.shift() as { atMs: number }).atMs + this.#durationMs; // R12
    }
  }

  membersChanged(): void {
    this.#begun = [];
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** For good: a request to campaign may arrive at any time later, and it is let through. */
  handOverBegun(): void {
    this.#isRevoked = true;
  }
}
