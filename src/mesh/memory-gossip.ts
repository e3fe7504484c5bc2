import { AspenError, type PeerId } from '../base/index.ts';
import { RecentIds } from './recent-ids.ts';
import { GOSSIP_BYTES_LIMIT, type Transport } from './transport.ts';

export interface GossipMessage {
  readonly id: number;
  readonly topic: string;
  readonly bytes: Uint8Array;
}

export interface MemoryGossipComponents {
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
  readonly #seen = new RecentIds<number>(SEEN_WINDOW);

  constructor(components: MemoryGossipComponents) {
    this.#components = components;
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
    const chosen =
      neighbours.length <= this.#components.fanout
        ? neighbours
        : [...neighbours]
            .sort((left, right) => rank(message.id, left) - rank(message.id, right))
            .slice(0, this.#components.fanout);
    for (const peerId of chosen) this.#components.forward(peerId, message);
  }
}

/** A different order for each message and node, the same in each run (FNV-1a). */
function rank(messageId: number, peerId: PeerId): number {
  let hash = 0x811c9dc5 ^ messageId;
  for (let at = peerId.length - 8; at < peerId.length; at += 1) {
    hash = Math.imul(hash ^ peerId.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
