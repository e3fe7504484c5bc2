import { type Random, randomFloat } from './random.ts';

export interface BackoffOptions {
  /** Pause before the second try. Unit: ms. @default 100 */
  readonly firstMs?: number;
  /** Longest pause. Unit: ms. @default 5_000 */
  readonly mostMs?: number;
}

/** @param attempt 1 for the first failure. @returns a pause with full jitter between half of the exponential bound and the bound, in ms. */
export function backoffMs(
  attempt: number,
  random: Random,
  { firstMs = 100, mostMs = 5_000 }: BackoffOptions = {},
): number {
  const boundMs = Math.min(mostMs, firstMs * 2 ** Math.min(30, attempt - 1));
  return boundMs / 2 + (randomFloat(random) * boundMs) / 2;
}
