import { Listeners, type PeerId } from '../../../src/base/index.ts';
import type { Candidate, DiscoverySource } from '../../../src/discovery/index.ts';

/** Tells every machine of the world where all others would listen, as a local network does. */
export class NeighboursSource implements DiscoverySource {
  readonly name = 'memory';
  readonly #neighbours: () => readonly PeerId[];
  readonly #candidates = new Listeners<Candidate>();

  constructor(neighbours: () => readonly PeerId[]) {
    this.#neighbours = neighbours;
  }

  async start(): Promise<void> {
    for (const peerId of this.#neighbours()) this.tell(peerId);
  }

  async stop(): Promise<void> {
    // Nothing runs between announcements.
  }

  /** Somebody appeared. */
  tell(peerId: PeerId): void {
    this.#candidates.emit({ peerId, addresses: [addressOf(peerId)], source: this.name });
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  problem(): string | undefined {
    return undefined;
  }
}

export function addressOf(peerId: PeerId): string {
  return `/memory/${peerId}`;
}
