import type { Clock, Timer } from './clock.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clocks. */
export class OsClock implements Clock {
  readonly beatMs = 50;

  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(afterMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, Math.min(Math.max(0, afterMs), LONGEST_TIMER_MS));
    handle.unref();
    const cancel = () => clearTimeout(handle);
    return { cancel, [Symbol.dispose]: cancel };
  }
}
