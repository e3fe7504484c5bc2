import { AspenError, hash32, hash32Bytes, type PeerId } from '../base/index.ts';
import { RecentIds } from './recent-ids.ts';
import { GOSSIP_BYTES_LIMIT, type Transport } from './transport.ts';

export interface GossipMessage {
  readonly id: number;
  readonly topic: string;
  readonly bytes: Uint8Array;
}

export interface MemoryGossipComponents {
  readonly self: PeerId;
  neighbours(): readonly PeerId[];
  forward(to: PeerId, message: GossipMessage): void;
  nextId(): number;
  /** To how many neighbours a message is passed on. */
  readonly fanout: number;
}

type Subscriber = (message: Uint8Array, relayedBy: PeerId) => boolean;

const SEEN_WINDOW = 4_096;

/** Flooding with a bounded fan-out among linked members; each message is delivered once and passed on once. */
export class MemoryGossip {
  readonly #components: MemoryGossipComponents;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  readonly #ownMark: number;
  readonly #seen = new RecentIds<number>(SEEN_WINDOW);

  constructor(components: MemoryGossipComponents) {
    this.#components = components;
    this.#ownMark = hash32(components.self);
  }

  publish(topic: string, message: Uint8Array): void {
    if (message.length > GOSSIP_BYTES_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${message.length} bytes do not fit a gossip message`, {
        details: { limit: 'GOSSIP_BYTES_LIMIT' },
      });
    }
    const id = this.#components.nextId();
    this.#seen.add(id);
    this.#spread({ id, topic, bytes: message.slice() });
  }

  subscribe: Transport['gossip']['subscribe'] = (topic, callback) => {
    const subscribers = this.#subscribers.get(topic) ?? new Set();
    this.#subscribers.set(topic, subscribers);
    const own: Subscriber = (message, relayedBy) => callback(message, relayedBy);
    subscribers.add(own);
    return { [Symbol.dispose]: () => void subscribers.delete(own) };
  };

  receive(relayedBy: PeerId, message: GossipMessage): void {
    if (!this.#seen.add(message.id)) return;
    const subscribers = this.#subscribers.get(message.topic);
    if (subscribers === undefined || subscribers.size === 0) return;
    const isGood = [...subscribers]
      .map((callback) => callback(message.bytes.slice(), relayedBy))
      .every(Boolean);
    if (isGood) this.#spread(message, relayedBy);
  }

  #spread(message: GossipMessage, relayedBy?: PeerId): void {
    const neighbours = this.#components.neighbours().filter((peerId) => peerId !== relayedBy);
    for (const peerId of this.#chosen(message.id, neighbours)) this.#components.forward(peerId, message);
  }

  /** Others for each message and node, the same in each run: if all nodes chose the same ones, the rest would never hear it. */
  #chosen(messageId: number, neighbours: readonly PeerId[]): readonly PeerId[] {
    const { fanout } = this.#components;
    if (neighbours.length <= fanout) return neighbours;
    const from = hash32Bytes(Uint8Array.of(messageId, messageId >>> 8, messageId >>> 16), this.#ownMark);
    return Array.from({ length: fanout }, (_, at) => neighbours[(from + at) % neighbours.length] as PeerId);
  }
}
