/**
 * Two kinds of time, never mixed. Monotonic time measures: it never goes back, and stands still while a laptop sleeps.
 * Wall time is shown to people and compared with planned instants: it may jump either way.
 */
export interface Clock {
  /** Unit: ms since an arbitrary start, with fractions. */
  monotonicMs(): number;
  /** Unit: ms since 1970-01-01T00:00Z, whole. */
  wallMs(): number;
  /** Runs `callback` once, no earlier than `afterMs` from now by the monotonic clock. Does not keep the process alive by itself. */
  setTimer(afterMs: number, callback: () => void): Timer;
  /**
   * What is done again and again is done at about their multiples, so that it wakes the machine together: the rarer it is done, the rarer the
   * beats. Ascending, each a multiple of the one before. Unit: ms, monotonic. @default none
   */
  readonly beatsMs?: readonly number[];
}

/** Cancelled by disposing; disposing after it fired does nothing. */
export interface Timer extends Disposable {
  cancel(): void;
}

/**
 * Waits. @param signal ends the wait early by rejecting with its reason.
 */
export function sleep(clock: Clock, afterMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(afterMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Waits. @returns whether all of the time has passed: false when `signal` ended the wait early. */
export function pause(clock: Clock, afterMs: number, signal: AbortSignal): Promise<boolean> {
  return sleep(clock, afterMs, signal).then(
    () => true,
    () => false, // it rejects for nothing else
  );
}

/** From so many beats on it matters little which of them is taken: an eighth of the period. */
const MANY_BEATS = 4;

/** @returns the time until the beat that is next to the end of the period; short periods are left as they are. Unit: ms. */
export function toBeat(clock: Clock, periodMs: number): number {
  const beatMs = beatOf(clock, periodMs);
  if (beatMs === undefined) return periodMs;
  const nowMs = clock.monotonicMs();
  return Math.ceil(Math.round((nowMs + periodMs) / beatMs) * beatMs - nowMs);
}

/** The rarest beats that keep the period, or nearly so; of those that it is hardly longer than only the most frequent ones, and these not once it is shorter than two. */
function beatOf({ beatsMs: [shortestMs, ...others] = [] }: Clock, periodMs: number): number | undefined {
  if (shortestMs === undefined || periodMs < 2 * shortestMs) return undefined;
  const rarer = others.findLast((beatMs) => periodMs % beatMs === 0 || periodMs >= MANY_BEATS * beatMs);
  return rarer ?? shortestMs;
}

/** Calls `task` about every `periodMs` until disposed; the next period begins when the task has returned, and may be of another length. */
export function every(clock: Clock, periodMs: number | (() => number), task: () => void): Disposable {
  let timer: Timer;
  let isStopped = false;
  const arm = () => {
    const nextMs = typeof periodMs === 'number' ? periodMs : periodMs();
    timer = clock.setTimer(toBeat(clock, nextMs), () => {
      task();
      if (!isStopped) arm();
    });
  };
  arm();
  return {
    [Symbol.dispose]() {
      isStopped = true;
      timer.cancel();
    },
  };
}
