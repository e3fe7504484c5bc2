import type { PeerId } from '../base/index.ts';

/** Where peers may be, as a table told: good for a try, and for nothing else. */
export class AddressHints {
  readonly #peersLimit: number;
  readonly #addressesLimit: number;
  /** Told longest ago first. */
  readonly #addresses = new Map<PeerId, readonly string[]>();

  constructor({ peersLimit = 512, addressesLimit = 8 } = {}) {
    this.#peersLimit = peersLimit;
    this.#addressesLimit = addressesLimit;
  }

  tell(peerId: PeerId, addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    this.#addresses.delete(peerId);
    const [oldest] = this.#addresses.keys();
    if (oldest !== undefined && this.#addresses.size >= this.#peersLimit) this.#addresses.delete(oldest);
    this.#addresses.set(peerId, addresses.slice(0, this.#addressesLimit));
  }

  of(peerId: PeerId): readonly string[] {
    return this.#addresses.get(peerId) ?? [];
  }
}
