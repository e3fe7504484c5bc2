import type { PeerId } from '../base/index.ts';
import type { Candidate } from './source.ts';

export interface CandidateBookOptions {
  /** Most peers held; the one that was told of longest ago is forgotten for a new one. @default 1_024 */
  readonly peersLimit?: number;
  /** Most addresses held of one peer, the latest told first. @default 16 */
  readonly addressesLimit?: number;
}

const ADDRESS_CHARACTERS_LIMIT = 256;

/** What all sources together say about where peers may be. */
export class CandidateBook {
  readonly #peersLimit: number;
  readonly #addressesLimit: number;
  /** In the order of the latest telling, the oldest first. */
  readonly #addresses = new Map<PeerId, readonly string[]>();

  constructor({ peersLimit = 1_024, addressesLimit = 16 }: CandidateBookOptions = {}) {
    this.#peersLimit = peersLimit;
    this.#addressesLimit = addressesLimit;
  }

  /** @returns whether it brought an address that was not known. */
  add({ peerId, addresses }: Pick<Candidate, 'peerId' | 'addresses'>): boolean {
    const usable = addresses
      .slice(0, this.#addressesLimit)
      .filter((address) => address.startsWith('/') && address.length <= ADDRESS_CHARACTERS_LIMIT);
    const known = this.#addresses.get(peerId) ?? [];
    const isNews = usable.some((address) => !known.includes(address));
    this.#addresses.delete(peerId);
    this.#addresses.set(peerId, [...new Set([...usable, ...known])].slice(0, this.#addressesLimit));
    this.#forgetOldest();
    return isNews;
  }

  /** @returns the latest told first; none when nothing is known. */
  addressesOf(peerId: PeerId): readonly string[] {
    return this.#addresses.get(peerId) ?? [];
  }

  /** How many peers it holds. */
  get size(): number {
    return this.#addresses.size;
  }

  peers(): readonly PeerId[] {
    return [...this.#addresses.keys()];
  }

  forget(peerId: PeerId): void {
    this.#addresses.delete(peerId);
  }

  #forgetOldest(): void {
    const [oldest] = this.#addresses.keys();
    if (oldest !== undefined && this.#addresses.size > this.#peersLimit) this.#addresses.delete(oldest);
  }
}
