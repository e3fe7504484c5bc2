import type { Clock, PeerId } from '../base/index.ts';

export interface AttemptBudgetOptions {
  /** How many attempts one peer has within `windowMs`. @default 20 */
  readonly attemptsPerPeer?: number;
  /** @default 10_000 */
  readonly windowMs?: number;
  /** How many attempts may be in progress at once, of all peers. @default 32 */
  readonly concurrentLimit?: number;
}

interface Window {
  beganMs: number;
  attempts: number;
}

/** Peers whose attempts are counted at once; beyond it the oldest window is forgotten. */
const PEERS_LIMIT = 1_024;

/** Keeps strangers from costing more than a little: so many attempts per peer and window, so many at once. */
export class AttemptBudget {
  readonly #clock: Clock;
  readonly #attemptsPerPeer: number;
  readonly #windowMs: number;
  readonly #concurrentLimit: number;
  readonly #windows = new Map<PeerId, Window>();
  #inProgress = 0;

  constructor(clock: Clock, options: AttemptBudgetOptions = {}) {
    this.#clock = clock;
    this.#attemptsPerPeer = options.attemptsPerPeer ?? 20;
    this.#windowMs = options.windowMs ?? 10_000;
    this.#concurrentLimit = options.concurrentLimit ?? 32;
  }

  /** @returns undefined when the budget is used up; else dispose what is returned when the attempt is over. */
  take(peerId: PeerId): Disposable | undefined {
    if (this.#inProgress >= this.#concurrentLimit || !this.#count(peerId)) return undefined;
    this.#inProgress += 1;
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (!isOver) this.#inProgress -= 1;
        isOver = true;
      },
    };
  }

  #count(peerId: PeerId): boolean {
    const nowMs = this.#clock.monotonicMs();
    const window = this.#windows.get(peerId);
    if (window !== undefined && nowMs - window.beganMs < this.#windowMs) {
      window.attempts += 1;
      return window.attempts <= this.#attemptsPerPeer;
    }
    this.#windows.delete(peerId);
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined && this.#windows.size >= PEERS_LIMIT) this.#windows.delete(oldest);
    this.#windows.set(peerId, { beganMs: nowMs, attempts: 1 });
    return true;
  }
}
