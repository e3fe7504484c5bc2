import { StorageFault } from '../../../src/storage/index.ts';
import type { Scheduled, Scheduler } from './scheduler.ts';

/** Where a process may be told to die: just before or just after it used a port. */
export type CrashPoint = `${'before' | 'after'} ${'write' | 'sync' | 'send'}`;

/** What the ports of a dead process answer to code that has not ended yet: nobody sees it. */
export class ProcessGone extends StorageFault {
  constructor(name: string) {
    super('closed', `the process of ${name} is gone`);
  }
}

/** Between callbacks that were held up, so that they run in the order in which they came. Unit: ms. */
const APART_MS = 1e-6;

/**
 * One life of a simulated agent. What it scheduled dies with it: after `crash` none of its callbacks ever runs, and promises that waited
 * for them stay as they are for ever. While it is paused, whatever would call it is held up, and comes all at once afterwards.
 */
export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #onCrash: (() => void)[] = [];
  #onUncaught: (error: unknown) => void = (error) => {
    throw error;
  };
  #isAlive = true;
  #isPaused = false;
  #held: (() => void)[] = [];
  #doom: { readonly point: CrashPoint; calls: number; readonly die: () => void } | undefined;

  constructor({ name, scheduler }: { readonly name: string; readonly scheduler: Scheduler }) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  after(afterMs: number, run: () => void, label: string): Scheduled {
    let isCancelled = false;
    const unlessCancelled = () => {
      if (!isCancelled) run();
    };
    const { cancel } = this.#scheduler.after(
      afterMs,
      () => this.enter(unlessCancelled),
      `${this.name} ${label}`,
    );
    return {
      cancel: () => {
        isCancelled = true;
        cancel();
      },
    };
  }

  /** Something calls the process: at once, or when it goes on, or never when it is dead by then. */
  enter(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#held.push(run);
    else this.#call(run);
  }

  /** @param handle is told what a callback of the living process threw. @default the run ends with it */
  onUncaught(handle: (error: unknown) => void): void {
    this.#onUncaught = handle;
  }

  /**
   * Stops it as SIGSTOP does; its clocks go on.
   * @param onResume called when it goes on, before anything that was held up. @returns whether it was running.
   */
  pause(forMs: number, onResume: () => void = () => undefined): boolean {
    if (this.#isPaused || !this.#isAlive) return false;
    this.#isPaused = true;
    this.#scheduler.after(forMs, () => this.#resume(onResume), `${this.name} goes on`);
    return true;
  }

  /** At the `calls`-th time it gets to `point` from now on, `die` is called. */
  doom(point: CrashPoint, calls: number, die: () => void): void {
    this.#doom = { point, calls, die };
  }

  spare(): void {
    this.#doom = undefined;
  }

  /** Called by its ports. The process may be dead afterwards. */
  reach(point: CrashPoint): void {
    if (this.#doom?.point !== point) return;
    this.#doom.calls -= 1;
    if (this.#doom.calls > 0) return;
    const { die } = this.#doom;
    this.#doom = undefined;
    die();
  }

  /** What the machine does to what it held: a disk loses its unsynced batches, connections break. */
  onCrash(release: () => void): void {
    this.#onCrash.push(release);
  }

  crash(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#held = [];
    for (const release of this.#onCrash.reverse()) this.#release(release);
  }

  /** What fails here is a fault of the simulator, which the death of the process must not hide. */
  #release(release: () => void): void {
    try {
      release();
    } catch (error) {
      this.#scheduler.after(
        0,
        () => {
          throw error;
        },
        `${this.name} cannot be released`,
      );
    }
  }

  /** Whoever died within a call has nothing more to say, not even that its disk is out of reach. */
  #call(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (this.#isAlive) this.#onUncaught(error);
    }
  }

  #resume(onResume: () => void): void {
    this.#isPaused = false;
    onResume();
    this.#held.splice(0).forEach((run, at) => {
      this.#scheduler.after(at * APART_MS, () => this.enter(run), `${this.name} late`);
    });
  }
}
