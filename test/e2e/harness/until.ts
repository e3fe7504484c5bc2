import { setTimeout as pause } from 'node:timers/promises';

export interface UntilOptions {
  /** Shown when the wait is given up. */
  readonly what: string;
  /** A cap for machines that are slow, never an assertion about speed. @default 60_000 */
  readonly timeoutMs?: number;
  /** @default 100 */
  readonly everyMs?: number;
}

/**
 * Asks again until the condition gives something other than `undefined`, `null` or `false`. A condition that throws has not
 * come true yet; what it threw last is told when the cap is reached.
 */
export async function until<T>(
  condition: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  { what, timeoutMs = 60_000, everyMs = 100 }: UntilOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'the condition stayed false';
  while (performance.now() < deadline) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
      last = 'the condition stayed false';
    } catch (error) {
      last = error;
    }
    await pause(everyMs);
  }
  throw new Error(`waited ${timeoutMs} ms in vain for: ${what} (${String(last)})`, { cause: last });
}
