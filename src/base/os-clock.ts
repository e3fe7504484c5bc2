import type { Clock, Timer } from './clock.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Timers that are set for so long may be late by {@link TOGETHER_MS}, and those that are due within it ring together: each by itself would wake the process. */
const LONG_MS = 50;
const TOGETHER_MS = 5;

/** What rings at one moment. */
interface Ring {
  readonly handle: NodeJS.Timeout;
  readonly callbacks: Set<() => void>;
}

/** The machine's own clocks. */
export class OsClock implements Clock {
  readonly beatsMs = [50, 250, 1_000];
  /** By the moment at which they are due. */
  readonly #rings = new Map<number, Ring>();

  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(afterMs: number, callback: () => void): Timer {
    if (afterMs >= LONG_MS && afterMs < LONGEST_TIMER_MS) return this.#setLong(afterMs, callback);
    const handle = setTimeout(callback, Math.min(Math.max(0, afterMs), LONGEST_TIMER_MS));
    handle.unref();
    const cancel = () => clearTimeout(handle);
    return { cancel, [Symbol.dispose]: cancel };
  }

  #setLong(afterMs: number, callback: () => void): Timer {
    const nowMs = performance.now();
    const dueMs = Math.ceil((nowMs + afterMs) / TOGETHER_MS) * TOGETHER_MS;
    const ring = this.#rings.get(dueMs) ?? this.#createRing(dueMs, nowMs);
    const own = () => callback(); // the same may be set twice
    ring.callbacks.add(own);
    const cancel = () => {
      if (ring.callbacks.delete(own) && ring.callbacks.size === 0) this.#drop(dueMs, ring);
    };
    return { cancel, [Symbol.dispose]: cancel };
  }

  #createRing(dueMs: number, nowMs: number): Ring {
    const handle = setTimeout(() => this.#onDue(dueMs), Math.ceil(dueMs - nowMs));
    handle.unref();
    const ring = { handle, callbacks: new Set<() => void>() };
    this.#rings.set(dueMs, ring);
    return ring;
  }

  /** One that fails is uncaught, like that of any timer, and does not keep the others from ringing. */
  #onDue(dueMs: number): void {
    const ring = this.#rings.get(dueMs);
    if (ring === undefined) return;
    this.#rings.delete(dueMs);
    for (const callback of ring.callbacks) {
      ring.callbacks.delete(callback);
      try {
        callback();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #drop(dueMs: number, ring: Ring): void {
    clearTimeout(ring.handle);
    if (this.#rings.get(dueMs) === ring) this.#rings.delete(dueMs);
  }
}
