import { type Clock, Listeners, type PeerId } from '../base/index.ts';
import type { Candidate, DiscoverySource } from './source.ts';

/** A peer that was connected, where it was or said it could be found, and when that was last so. */
export interface KnownPeer {
  readonly peerId: PeerId;
  /** The latest first. */
  readonly addresses: readonly string[];
  /** Wall time. */
  readonly lastLinkedMs: number;
}

/** Where known peers outlive the process. */
export interface KnownPeersMemory {
  load(): readonly KnownPeer[];
  /** Replaces what was saved before. */
  save(peers: readonly KnownPeer[]): void;
}

export interface KnownPeersOptions {
  /** Most peers remembered; the one linked longest ago is forgotten. Time alone makes nobody forgotten. @default 256 */
  readonly peersLimit?: number;
  /** @default 8 */
  readonly addressesLimit?: number;
}

/** How old the saved time of a link may get before it is worth another write. Unit: ms. */
const REFRESH_AFTER_MS = 3_600_000;

/** Remembers members and their addresses, so that a restarted node finds its mesh without a ticket. */
export class KnownPeers implements DiscoverySource {
  readonly name = 'known';
  readonly #memory: KnownPeersMemory;
  readonly #clock: Clock;
  readonly #peersLimit: number;
  readonly #addressesLimit: number;
  readonly #candidates = new Listeners<Candidate>();
  /** In the order of the latest link, the oldest first. */
  readonly #peers = new Map<PeerId, KnownPeer>();

  constructor(
    { memory, clock }: { readonly memory: KnownPeersMemory; readonly clock: Clock },
    { peersLimit = 256, addressesLimit = 8 }: KnownPeersOptions = {},
  ) {
    this.#memory = memory;
    this.#clock = clock;
    this.#peersLimit = peersLimit;
    this.#addressesLimit = addressesLimit;
    const saved = [...memory.load()].sort((left, right) => left.lastLinkedMs - right.lastLinkedMs);
    for (const peer of saved.slice(-peersLimit)) this.#peers.set(peer.peerId, peer);
  }

  async start(): Promise<void> {
    for (const { peerId, addresses } of [...this.#peers.values()].reverse()) {
      this.#candidates.emit({ peerId, addresses, source: 'known' });
    }
  }

  async stop(): Promise<void> {
    this.#memory.save([...this.#peers.values()]);
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  problem(): string | undefined {
    return undefined;
  }

  /** @param addresses that worked or that the linked peer itself has told; they go before the ones known so far. */
  remember(peerId: PeerId, addresses: readonly string[]): void {
    const known = this.#peers.get(peerId);
    const merged = [...new Set([...addresses, ...(known?.addresses ?? [])])].slice(0, this.#addressesLimit);
    if (merged.length === 0) return;
    const nowMs = this.#clock.wallMs();
    this.#peers.delete(peerId);
    this.#peers.set(peerId, { peerId, addresses: merged, lastLinkedMs: nowMs });
    this.#forgetOldest();
    if (known === undefined || isWorthSaving(known, merged, nowMs))
      this.#memory.save([...this.#peers.values()]);
  }

  forget(peerId: PeerId): void {
    if (this.#peers.delete(peerId)) this.#memory.save([...this.#peers.values()]);
  }

  #forgetOldest(): void {
    const [oldest] = this.#peers.keys();
    if (oldest !== undefined && this.#peers.size > this.#peersLimit) this.#peers.delete(oldest);
  }
}

function isWorthSaving(known: KnownPeer, addresses: readonly string[], nowMs: number): boolean {
  const isSame =
    known.addresses.length === addresses.length &&
    addresses.every((address, at) => address === known.addresses[at]);
  return !isSame || Math.abs(nowMs - known.lastLinkedMs) > REFRESH_AFTER_MS;
}
