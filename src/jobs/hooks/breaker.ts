/** What is known of a receiver by the attempts made so far. All of it in group time. */
export interface Breaker {
  /** Failures since the last success. */
  readonly failureCount: number;
  /** How often it was opened since the last success. */
  readonly openingCount: number;
  /** Until when nothing is tried; null while it is closed. */
  readonly openUntilMs: number | null;
}

/** `closed`: all is delivered; `open`: nothing is tried; `half-open`: one at a time, to see. */
export type Gate = 'closed' | 'open' | 'half-open';

/** Failures in a row that open it. */
export const FAILURES_TO_OPEN = 5;
/** First pause, doubled with each opening that follows without a success. Unit: ms. */
export const OPEN_LEAST_MS = 30_000;
const OPEN_MOST_MS = 15 * 60_000;

export const CLOSED: Breaker = Object.freeze({ failureCount: 0, openingCount: 0, openUntilMs: null });

/**
 * A circuit breaker for each receiver, so that a dead one costs a probe now and then, and no attempts of deliveries.
 *
 * - K1 Closed, until {@link FAILURES_TO_OPEN} attempts in a row have failed. Open, for a pause that doubles. Then one attempt at a time: a
 *   success closes it, a failure opens it again.
 * - K2 What fails while it is open began before, and says nothing new.
 */
export function gateOf({ openUntilMs }: Breaker, groupMs: number): Gate {
  if (openUntilMs === null) return 'closed';
  return groupMs < openUntilMs ? 'open' : 'half-open';
}

/** @returns the same when nothing changes. */
export function afterFailure(breaker: Breaker, groupMs: number): Breaker {
  const gate = gateOf(breaker, groupMs);
  if (gate === 'open') return breaker; // K2
  const failureCount = breaker.failureCount + 1;
  if (gate === 'closed' && failureCount < FAILURES_TO_OPEN) return { ...breaker, failureCount };
  const pauseMs = Math.min(OPEN_MOST_MS, OPEN_LEAST_MS * 2 ** Math.min(20, breaker.openingCount));
  return { failureCount, openingCount: breaker.openingCount + 1, openUntilMs: groupMs + pauseMs };
}

/** @returns the same when nothing changes. */
export function afterSuccess(breaker: Breaker): Breaker {
  return breaker.failureCount === 0 && breaker.openUntilMs === null ? breaker : CLOSED;
}
