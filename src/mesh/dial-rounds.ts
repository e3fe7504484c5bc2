import {
  AspenError,
  backoffMs,
  type Clock,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
  type Tasks,
} from '../base/index.ts';
import type { DialTargets, Target } from './dial-targets.ts';

export interface DialRoundsComponents {
  readonly targets: DialTargets;
  /** @throws AspenError */
  readonly link: (peerId: PeerId, signal: AbortSignal) => Promise<void>;
  /** Asked just before a dial. */
  readonly isWanted: (peerId: PeerId) => boolean;
  /** What is known of a peer leads nowhere. */
  readonly askFor: (peerId: PeerId) => void;
  /** Whether nobody is linked who could be. */
  readonly isAlone: () => boolean;
  readonly tasks: Tasks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface DialRoundsOptions {
  readonly dialsLimit: number;
  /** Unit: ms. */
  readonly firstPauseMs: number;
  /** Unit: ms. */
  readonly familiarPauseMs: number;
  /** Unit: ms. */
  readonly longestPauseMs: number;
}

/** Dials begin after a random part of this, so that a mesh that starts at once does not dial itself at once. */
const STAGGER_MS = 100;
/** What is known of a peer leads nowhere: the sources that can look for one are asked. */
const FAILURES_BEFORE_ASKING = 3;
/** Longest pause while nobody is linked. Unit: ms. */
const ALONE_PAUSE_MS = 10_000;

/** Dials targets when their time comes, so many at once (L2), and again after a pause that grows (L1). */
export class DialRounds {
  readonly #components: DialRoundsComponents;
  readonly #options: DialRoundsOptions;
  readonly #waiting: PeerId[] = [];
  #dialCount = 0;

  constructor(components: DialRoundsComponents, options: DialRoundsOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** In progress. */
  get dialCount(): number {
    return this.#dialCount;
  }

  /** Forgets whose turn has come. */
  clear(): void {
    this.#waiting.length = 0;
  }

  /** Dials it after this time and a little more. Unit: ms. */
  scheduleSoon(peerId: PeerId, afterMs = 0): void {
    const staggerMs = randomFloat(this.#components.random) * STAGGER_MS;
    this.#schedule(peerId, this.#components.targets.of(peerId), afterMs + staggerMs);
  }

  #schedule(peerId: PeerId, target: Target, afterMs: number): void {
    if (target.isDialing) return;
    target.timer?.cancel();
    target.timer = this.#components.clock.setTimer(afterMs, () => {
      target.timer = undefined;
      this.#waiting.push(peerId);
      this.#dialNext();
    });
  }

  #dialNext(): void {
    const { targets, isWanted } = this.#components;
    while (this.#dialCount < this.#options.dialsLimit) {
      const peerId = this.#waiting.shift();
      if (peerId === undefined) return;
      const target = targets.find(peerId);
      if (target === undefined || target.isDialing || !isWanted(peerId)) continue;
      this.#startDial(peerId, target);
    }
  }

  #startDial(peerId: PeerId, target: Target): void {
    const { tasks, link, askFor, log } = this.#components;
    target.isDialing = true;
    this.#dialCount += 1;
    tasks.run(async (signal) => {
      try {
        await link(peerId, signal);
        target.failures = 0;
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        target.failures += 1;
        log.debug({ err, peerId, failures: target.failures }, 'dialing failed, will try again');
        if (target.failures >= FAILURES_BEFORE_ASKING) askFor(peerId);
      } finally {
        target.isDialing = false;
        this.#dialCount -= 1;
        if (!signal.aborted) this.#afterDial(peerId, target);
      }
    });
  }

  #afterDial(peerId: PeerId, target: Target): void {
    if (target.failures > 0 && this.#components.isWanted(peerId))
      this.#schedule(peerId, target, this.#pauseMs(target));
    this.#dialNext();
  }

  /** Whoever has no link at all waits for nobody long: to be left out costs more than a dial. */
  #pauseMs({ failures, isFamiliar }: Target): number {
    const { firstPauseMs, familiarPauseMs, longestPauseMs } = this.#options;
    const { random, isAlone } = this.#components;
    const ofStrangersMs = isAlone() ? Math.min(ALONE_PAUSE_MS, longestPauseMs) : longestPauseMs;
    const mostMs = isFamiliar ? familiarPauseMs : ofStrangersMs;
    return backoffMs(failures, random, { firstMs: firstPauseMs, mostMs });
  }
}
