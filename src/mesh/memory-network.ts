import type { Clock, PeerId } from '../base/index.ts';
import type { MemoryTransport } from './memory-transport.ts';

/** What the network does to what is sent over it. A simulation decides here; the default delivers everything after 1 ms. */
export interface NetworkPolicy {
  /**
   * Asked for every frame, ping, gossip hop and half of an admission exchange.
   * @returns the delays after which it arrives, in ms: none when it is lost, several when it is doubled.
   */
  deliveries(from: PeerId, to: PeerId, bytes: number): readonly number[];
  /** Whether packets of a new connection get from `from` to `to`. */
  isReachable(from: PeerId, to: PeerId): boolean;
}

export interface MemoryNetworkComponents {
  readonly clock: Clock;
  readonly policy?: NetworkPolicy;
}

const EVERYTHING_ARRIVES: NetworkPolicy = { deliveries: () => [1], isReachable: () => true };

/** The wire between {@link MemoryTransport}s: knows who is listening where, and carries closures instead of packets. */
export class MemoryNetwork {
  readonly clock: Clock;
  readonly policy: NetworkPolicy;
  readonly #listening = new Map<string, MemoryTransport>();
  #lastId = 0;

  constructor({ clock, policy = EVERYTHING_ARRIVES }: MemoryNetworkComponents) {
    this.clock = clock;
    this.policy = policy;
  }

  /** @returns a number that was not given before, for links and messages. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  listen(address: string, transport: MemoryTransport): void {
    this.#listening.set(address, transport);
  }

  unlisten(address: string): void {
    this.#listening.delete(address);
  }

  at(address: string): MemoryTransport | undefined {
    return this.#listening.get(address);
  }

  /** Calls `arrive` once for each time the policy lets it arrive. @returns how often that will be. */
  carry(
    route: { readonly from: PeerId; readonly to: PeerId; readonly bytes: number },
    arrive: () => void,
  ): number {
    const delays = this.policy.deliveries(route.from, route.to, route.bytes);
    for (const delayMs of delays) this.clock.setTimer(delayMs, arrive);
    return delays.length;
  }

  /**
   * As `carry` for what a connection delivers exactly once or not at all: the handshake and the admission exchange.
   * @returns false when it is lost.
   */
  carryOnce(
    route: { readonly from: PeerId; readonly to: PeerId; readonly bytes: number },
    arrive: () => void,
  ): boolean {
    if (!this.policy.isReachable(route.from, route.to)) return false;
    const [delayMs] = this.policy.deliveries(route.from, route.to, route.bytes);
    if (delayMs === undefined) return false;
    this.clock.setTimer(delayMs, arrive);
    return true;
  }
}
