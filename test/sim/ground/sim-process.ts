import type { Scheduled, Scheduler } from './scheduler.ts';

/**
 * One life of a simulated agent. What it scheduled dies with it: after `crash` none of its callbacks ever runs, and promises that waited
 * for them stay as they are for ever.
 */
export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #onCrash: (() => void)[] = [];
  #isAlive = true;

  constructor({ name, scheduler }: { readonly name: string; readonly scheduler: Scheduler }) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  after(afterMs: number, run: () => void, label: string): Scheduled {
    return this.#scheduler.after(afterMs, this.guard(run), `${this.name} ${label}`);
  }

  /** @returns a callback that does nothing once the process has crashed. */
  guard<A extends readonly unknown[]>(run: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.#isAlive) run(...args);
    };
  }

  /** What the machine does to what it held: a disk loses its unsynced batches, connections break. */
  onCrash(release: () => void): void {
    this.#onCrash.push(release);
  }

  crash(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    for (const release of this.#onCrash.reverse()) release();
  }
}
