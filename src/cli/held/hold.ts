/** One moment by both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** How the time of a lease is spent by whoever must have stopped before it is over. Unit: ms. */
export interface HoldTimes {
  readonly ttlMs: number;
  readonly renewEveryMs: number;
  /** Between the request to end and the kill. */
  readonly graceMs: number;
  /** Between the kill and the end of the lease, for clocks that run apart and machines that are slow. */
  readonly marginMs: number;
}

/** What a holder has to do. */
export type Duty = 'go-on' | 'terminate' | 'kill';

const LONGEST_GRACE_MS = 5_000;

export function holdTimes(ttlMs: number): HoldTimes {
  return {
    ttlMs,
    renewEveryMs: Math.floor(ttlMs / 4),
    graceMs: Math.min(LONGEST_GRACE_MS, Math.floor(ttlMs / 5)),
    marginMs: Math.ceil(ttlMs / 10),
  };
}

/**
 * What the holder of a lease may still believe.
 *
 * - D1 The time of a lease counts from when its latest confirmed renewal was sent, never from when the answer came.
 * - D2 Time counts by the clock that moved more: monotonic time stands still while a machine sleeps, wall time may be set back.
 * - D3 Whoever holds has been told to end, and is killed, before the lease is over: margin and grace are taken off its end.
 */
export class Hold {
  readonly times: HoldTimes;
  #sentAt: Moment;

  /** @param sentAt when the latest confirmed renewal was sent. */
  constructor(times: HoldTimes, sentAt: Moment) {
    this.times = times;
    this.#sentAt = sentAt;
  }

  /** Answers may come out of order: only a later renewal counts. */
  confirm(sentAt: Moment): void {
    if (sentAt.monotonicMs > this.#sentAt.monotonicMs) this.#sentAt = sentAt;
  }

  /** D1, D2 */
  elapsedMs(now: Moment): number {
    const { monotonicMs, wallMs } = this.#sentAt;
    return Math.max(now.monotonicMs - monotonicMs, now.wallMs - wallMs);
  }

  /** D3 */
  duty(now: Moment): Duty {
    const { ttlMs, graceMs, marginMs } = this.times;
    const leftMs = ttlMs - marginMs - this.elapsedMs(now);
    if (leftMs <= 0) return 'kill';
    return leftMs <= graceMs ? 'terminate' : 'go-on';
  }
}
