import type { Clock, Timer } from '../../../src/base/index.ts';
import type { Scheduled } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';

/** 2026-01-01T00:00Z, so that simulated wall times look like times. */
export const WORLD_EPOCH_MS = 1_767_225_600_000;
/** Added to every delay, so that rounding never lets a timer fire early: whoever then waits for the rest would wait for ever. Unit: ms. */
const ROUNDING_MS = 1e-6;

export interface SimClockOptions {
  /** How far the wall clock is off. Unit: ms. @default 0 */
  readonly wallOffsetMs?: number;
  /** How much faster than the world both clocks run; 0.0001 is 100 ppm. @default 0 */
  readonly drift?: number;
}

/** The clocks of one machine in the simulated world; its timers belong to a process. */
export class SimClock implements Clock {
  readonly #process: SimProcess;
  readonly #bornMs: number;
  readonly #rate: number;
  #wallOffsetMs: number;
  #sleptMs = 0;
  #asleepSinceMs: number | undefined;
  #wakesMs = 0;

  constructor(process: SimProcess, { wallOffsetMs = 0, drift = 0 }: SimClockOptions = {}) {
    this.#process = process;
    this.#bornMs = process.nowMs;
    this.#rate = 1 + drift;
    this.#wallOffsetMs = wallOffsetMs;
  }

  get isAsleep(): boolean {
    return this.#asleepSinceMs !== undefined;
  }

  monotonicMs(): number {
    const untilMs = this.#asleepSinceMs ?? this.#process.nowMs;
    return (untilMs - this.#bornMs - this.#sleptMs) * this.#rate;
  }

  wallMs(): number {
    return Math.floor(WORLD_EPOCH_MS + this.#process.nowMs * this.#rate + this.#wallOffsetMs);
  }

  setTimer(afterMs: number, callback: () => void): Timer {
    const deadlineMs = this.monotonicMs() + Math.max(0, afterMs);
    let scheduled: Scheduled;
    const arm = () => {
      scheduled = this.#process.after(this.#worldDelayMs(deadlineMs), fire, 'timer');
    };
    const fire = () => {
      if (this.isAsleep || this.monotonicMs() < deadlineMs) arm();
      else callback();
    };
    arm();
    const cancel = () => scheduled.cancel();
    return { cancel, [Symbol.dispose]: cancel };
  }

  /** Somebody set the wall clock, forwards or back. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The lid closes: nothing runs, no message is heard, and monotonic time stands still, while wall time goes on. @returns whether it was open. */
  sleep(forMs: number): boolean {
    if (!this.#process.pause(forMs, () => this.#wake())) return false;
    this.#asleepSinceMs = this.#process.nowMs;
    this.#wakesMs = this.#process.nowMs + forMs;
    return true;
  }

  #wake(): void {
    this.#sleptMs += this.#process.nowMs - (this.#asleepSinceMs ?? this.#process.nowMs);
    this.#asleepSinceMs = undefined;
  }

  #worldDelayMs(deadlineMs: number): number {
    const restMs = Math.max(0, deadlineMs - this.monotonicMs()) / this.#rate + ROUNDING_MS;
    return this.isAsleep ? restMs + Math.max(0, this.#wakesMs - this.#process.nowMs) : restMs;
  }
}
