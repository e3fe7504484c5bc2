import type { PeerId, Startable } from '../base/index.ts';

/** Somebody who may be reachable at these addresses. A hint: only the handshake proves who answers there. */
export interface Candidate {
  readonly peerId: PeerId;
  /** Multiaddrs, e.g. `/ip4/192.0.2.7/tcp/4100`; at most 16 are looked at. */
  readonly addresses: readonly string[];
  readonly source: 'mdns' | 'dht' | 'bootstrap' | 'known' | 'ticket' | 'exchange' | 'registry' | 'memory';
}

/** One way of finding members of this mesh. Reports the same candidate as often as it likes. */
export interface DiscoverySource extends Startable {
  readonly name: Candidate['source'];
  onCandidate(callback: (candidate: Candidate) => void): Disposable;
  /** Asks for one member that was not reached; what is found is told as a candidate. As often as one likes. @default it only tells */
  find?(peerId: PeerId): void;
  /** This node slept or is in another network: looks again at once, from the interfaces of now. @default nothing to be done */
  refresh?(): void;
  /** What a person should know, e.g. that no multicast route exists; undefined when all is well. */
  problem(): string | undefined;
}
