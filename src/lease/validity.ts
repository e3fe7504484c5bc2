import type { Clock } from '../base/index.ts';

/** When the group was asked for something that ends by itself. */
export interface Asked {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function askedNow(clock: Clock): Asked {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/**
 * Q3 What is told as valid counts from when the group was asked, never from when its answer came; also while the machine slept, which the
 * monotonic clock does not see. A wall clock that was set forward meanwhile is taken for sleep, which tells too little and never too much.
 * @returns what is left of `ttlMs` now. Unit: ms, >= 0.
 */
export function validMs(ttlMs: number, asked: Asked, clock: Clock): number {
  const awakeMs = clock.monotonicMs() - asked.monotonicMs;
  const passedMs = Math.max(awakeMs, clock.wallMs() - asked.wallMs);
  return Math.max(0, Math.floor(ttlMs - passedMs));
}
