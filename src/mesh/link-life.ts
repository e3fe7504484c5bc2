import { type Clock, every } from '../base/index.ts';
import { type LifeLimits, nextLifeStep } from './keepalive-rules.ts';

export interface LinkLifeComponents {
  readonly clock: Clock;
  /** Asks the peer for a sign of life. */
  readonly ask: () => void;
  /** Called once. @param pauseTicks for how long the link had been left alone before the question that nobody answered. */
  readonly onDead: (pauseTicks: number) => void;
}

export interface LinkLifeOptions {
  /** Unit: ms. */
  readonly tickMs: number;
  readonly deadAfterTicks: number;
  /** Asked anew with each tick. Unit: ticks. */
  readonly longestPauseTicks: () => number;
}

/** A link that is doubted is asked at once, and is dead when nothing is heard within so many looks. */
const VERIFY_LOOK_MS = 250;
const VERIFY_LOOKS = 6;
/** What lay here since before a sleep was read by then: what comes later was sent over a path that is whole. */
const SETTLED_LOOKS = 2;
/** An answer that is late by so many ticks is waited for, but the link is not called up. */
const QUIET_AFTER_TICKS = 2;

/** Whether the other end of a link is there, and when it is asked; see the rules for when that is. */
export class LinkLife implements Disposable {
  readonly #components: LinkLifeComponents;
  readonly #options: LinkLifeOptions;
  readonly #ticking: Disposable;
  #verifying: Disposable | undefined;
  #unansweredTicks: number | undefined;
  #sinceAskedTicks = 0;
  #pausedTicks = 0;
  #idleTicks = 0;
  #unheardTicks = 0;
  #hasSpoken = false;
  #wasSpared = false;
  #isDoubted = false;
  #verifiedSinceMs = 0;
  #looks = 0;
  #isOver = false;

  constructor(components: LinkLifeComponents, options: LinkLifeOptions) {
    this.#components = components;
    this.#options = options;
    this.#ticking = every(components.clock, options.tickMs, () => this.#tick());
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#ticking[Symbol.dispose]();
    this.#verifying?.[Symbol.dispose]();
  }

  /** Z5 It was asked and has not answered for a while, or is doubted: nobody should call it up. */
  get isQuiet(): boolean {
    return this.#isDoubted || (this.#unansweredTicks ?? 0) >= QUIET_AFTER_TICKS;
  }

  /** Z7 For how long the peer has said nothing, to a tick. Unit: ms. */
  get unheardMs(): number {
    return this.#unheardTicks * this.#options.tickMs;
  }

  /** The peer said something; what lay here since before a sleep says nothing about now. */
  heard(): void {
    this.#unansweredTicks = undefined;
    this.#unheardTicks = 0;
    if (this.#verifying === undefined || this.#looks >= SETTLED_LOOKS) this.#believe();
  }

  /** The peer said something of its own accord. */
  spoke(): void {
    this.#hasSpoken = true;
  }

  /** The peer answered a question. @param askedMs when that was asked, by the monotonic clock. */
  answered(askedMs: number): void {
    if (askedMs >= this.#verifiedSinceMs) this.#believe();
  }

  /** A frame goes either way: somebody depends on the link. */
  used(): void {
    this.#idleTicks = 0;
  }

  /** A question is on its way. */
  asked(): void {
    if (this.#unansweredTicks === undefined) {
      this.#unansweredTicks = this.#wasSpared && this.#unheardTicks > 1 ? 1 : 0; // Z9
      this.#pausedTicks = this.#wasSpared ? 1 : this.#sinceAskedTicks;
    }
    this.#sinceAskedTicks = 0;
  }

  /** It did not answer somebody who asked it. */
  doubt(): void {
    this.#isDoubted = true;
  }

  /**
   * Z3 Believes nothing until the peer has answered a question asked from now on, or says something when all that lay here was read: where
   * much waits to be sent an answer is slow. Without either in time the link is dead.
   */
  verify(): void {
    if (this.#isOver || this.#verifying !== undefined) return;
    this.#isDoubted = true;
    this.#verifiedSinceMs = this.#components.clock.monotonicMs();
    this.#looks = 0;
    this.#verifying = every(this.#components.clock, VERIFY_LOOK_MS, () => {
      this.#looks += 1;
      if (this.#looks >= VERIFY_LOOKS) this.#die(0);
    });
    this.#components.ask();
  }

  #believe(): void {
    this.#verifying?.[Symbol.dispose]();
    this.#verifying = undefined;
    this.#isDoubted = false;
  }

  #tick(): void {
    this.#sinceAskedTicks += 1;
    this.#idleTicks += 1;
    this.#unheardTicks += 1;
    if (this.#unansweredTicks !== undefined) this.#unansweredTicks += 1;
    const limits: LifeLimits = {
      deadAfterTicks: this.#options.deadAfterTicks,
      longestPauseTicks: this.#options.longestPauseTicks(),
    };
    const facts = {
      unansweredTicks: this.#unansweredTicks,
      sinceAskedTicks: this.#sinceAskedTicks,
      idleTicks: this.#idleTicks,
      hasSpoken: this.#hasSpoken,
    };
    this.#hasSpoken = false;
    const step = nextLifeStep(facts, limits);
    if (step === 'ask') this.#components.ask();
    else if (step === 'dead') this.#die(this.#pausedTicks);
    this.#wasSpared = step === 'spare';
  }

  #die(pauseTicks: number): void {
    if (this.#isOver) return;
    this[Symbol.dispose]();
    this.#components.onDead(pauseTicks);
  }
}
