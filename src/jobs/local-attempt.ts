import type { AttemptHold, AttemptStop, StopReason } from './execution/executor.ts';
import { HOLD_MARGIN_MS } from './holds.ts';
import type { AttemptRef } from './settlement.ts';
import type { Assignment } from './wire.ts';

/** Until when the leader keeps its word: `holdMs` from when the renewal that it granted was sent. */
export interface GrantedHold {
  readonly sentAtMs: number;
  readonly holdMs: number;
}

/** An attempt on the node that runs it. The first reason to stop wins. */
export class LocalAttempt implements AttemptHold, AttemptStop {
  readonly assignment: Assignment;
  readonly ref: AttemptRef;
  /** What the job is given; where that lies in a blob, the name of the blob until it is here. */
  payload: unknown;
  /** Made when somebody first asks for the signal: most attempts end without one. */
  #abort: AbortController | undefined;
  #hold: GrantedHold;
  #stopReason: StopReason | null = null;
  #isFenced = false;
  #onStop: (() => void) | undefined;
  /** Of whoever does its work; at most one. */
  #onMove: ((untilMs: number) => void) | undefined;

  constructor(assignment: Assignment, hold: GrantedHold) {
    const { jobId, attempt, fencingToken, rank } = assignment;
    this.assignment = assignment;
    this.ref = rank === undefined ? { jobId, attempt, fencingToken } : { jobId, attempt, fencingToken, rank };
    this.payload = assignment.payload;
    this.#hold = hold;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#stopReason !== null) this.#abort.abort(this.#stopReason);
    }
    return this.#abort.signal;
  }

  get stopReason(): StopReason | null {
    return this.#stopReason;
  }

  onStop(callback: () => void): void {
    this.#onStop = callback;
    if (this.#stopReason !== null) callback();
  }

  /** The leader said that the group knows nothing of it any more: nothing is to be reported. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /** By the monotonic clock of this node. */
  get deadlineMs(): number {
    return this.#hold.sentAtMs + this.#hold.holdMs;
  }

  /** X2: until when whoever does its work may go on. */
  get untilMs(): number {
    return this.deadlineMs - HOLD_MARGIN_MS;
  }

  /** The job may run elsewhere, or soon will: also where its assignment lay here while this process stood still. */
  hasHoldEnded(nowMs: number): boolean {
    return nowMs >= this.untilMs;
  }

  /** Every later word on that; one listener. */
  onMove(callback: (untilMs: number) => void): Disposable {
    this.#onMove = callback;
    return {
      [Symbol.dispose]: () => {
        this.#onMove = undefined;
      },
    };
  }

  hold(granted: GrantedHold): void {
    if (granted.sentAtMs > this.#hold.sentAtMs) this.#move(granted);
  }

  /** Part of the hold has passed unseen by the monotonic clock. */
  shorten(byMs: number): void {
    this.#move({ ...this.#hold, holdMs: this.#hold.holdMs - byMs });
  }

  #move(hold: GrantedHold): void {
    this.#hold = hold;
    this.#onMove?.(this.untilMs);
  }

  fence(): void {
    this.#isFenced = true;
    this.stop('lost');
  }

  stop(reason: StopReason): void {
    if (this.#stopReason !== null) return;
    this.#stopReason = reason;
    this.#abort?.abort(reason);
    this.#onStop?.();
  }
}
