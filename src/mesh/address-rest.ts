import type { Clock } from '../base/index.ts';

export interface AddressRestOptions {
  /** How long an address rests after its first failure; twice as long after each further one. Unit: ms. @default 5_000 */
  readonly firstMs?: number;
  /** Longest rest. Unit: ms. @default 300_000 */
  readonly mostMs?: number;
  /** Most addresses remembered; the one that failed longest ago is forgotten. @default 4_096 */
  readonly addressesLimit?: number;
}

interface Failed {
  readonly count: number;
  readonly untilMs: number;
}

/**
 * Back-off per address: a peer with one good address and many dead ones is reached at once.
 *
 * - D4 An address that led to the peer never rests; one that failed rests ever longer, up to the limit, and counts again when it worked.
 */
export class AddressRest {
  readonly #clock: Clock;
  readonly #options: Required<AddressRestOptions>;
  /** In the order of the latest failure, by peer and address: the same place may be good for one peer and not for another. */
  readonly #failed = new Map<string, Failed>();

  constructor(clock: Clock, options: AddressRestOptions = {}) {
    this.#clock = clock;
    this.#options = {
      firstMs: options.firstMs ?? 5_000,
      mostMs: options.mostMs ?? 300_000,
      addressesLimit: options.addressesLimit ?? 4_096,
    };
  }

  isResting(peerId: string, address: string): boolean {
    const failed = this.#failed.get(keyOf(peerId, address));
    return failed !== undefined && this.#clock.monotonicMs() < failed.untilMs;
  }

  failed(peerId: string, address: string): void {
    const key = keyOf(peerId, address);
    const count = (this.#failed.get(key)?.count ?? 0) + 1;
    const restMs = Math.min(this.#options.mostMs, this.#options.firstMs * 2 ** Math.min(count - 1, 30));
    this.#failed.delete(key);
    this.#failed.set(key, { count, untilMs: this.#clock.monotonicMs() + restMs });
    const [oldest] = this.#failed.keys();
    if (oldest !== undefined && this.#failed.size > this.#options.addressesLimit) this.#failed.delete(oldest);
  }

  worked(peerId: string, address: string): void {
    this.#failed.delete(keyOf(peerId, address));
  }

  /** Z4 What failed in another network, or before a sleep, may work now. */
  clear(): void {
    this.#failed.clear();
  }
}

function keyOf(peerId: string, address: string): string {
  return `${peerId} ${address}`;
}
