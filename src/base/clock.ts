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

/** Calls `task` every `periodMs` until disposed; the next period begins when the task has returned. */
export function every(clock: Clock, periodMs: number, task: () => void): Disposable {
  let timer: Timer;
  let isStopped = false;
  const arm = () => {
    timer = clock.setTimer(periodMs, () => {
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
