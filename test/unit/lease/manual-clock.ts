import type { Clock, Timer } from '../../../src/base/index.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Time that stands still until the test moves it. Timers run in order; after each, promises settle, as in the simulator. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #due = new Set<Due>();
  wallOffsetMs = 1_800_000_000_000;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#nowMs + this.wallOffsetMs);
  }

  setTimer(afterMs: number, callback: () => void): Timer {
    this.#order += 1;
    const due = { atMs: this.#nowMs + Math.max(0, afterMs), order: this.#order, callback };
    this.#due.add(due);
    const cancel = () => void this.#due.delete(due);
    return { cancel, [Symbol.dispose]: cancel };
  }

  async advance(forMs: number): Promise<void> {
    const untilMs = this.#nowMs + forMs;
    await settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#due.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  /** Time passes and nobody notices: what was due meanwhile comes late, with the next {@link advance}. */
  standStill(forMs: number): void {
    this.#nowMs += forMs;
  }

  /** Moves on in small steps until `work` has settled; fails after `mostMs`. */
  async until<T>(work: Promise<T>, mostMs = 60_000): Promise<T> {
    let isDone = false;
    const mark = () => {
      isDone = true;
    };
    work.then(mark, mark);
    for (let spentMs = 0; !isDone; spentMs += 10) {
      if (spentMs > mostMs) throw new Error(`not settled after ${mostMs} ms of the test's clock`);
      await this.advance(10);
    }
    return work;
  }

  #next(untilMs: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) {
      if (due.atMs > untilMs) continue;
      if (
        first === undefined ||
        due.atMs < first.atMs ||
        (due.atMs === first.atMs && due.order < first.order)
      )
        first = due;
    }
    return first;
  }
}

/** Lets everything that waits for promises only run to its end. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
