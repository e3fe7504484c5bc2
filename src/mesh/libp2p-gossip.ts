import {
  type GossipSub,
  type GossipSubComponents,
  gossipsub,
  StrictNoSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub';
import type {
  Connection,
  PeerId as Libp2pPeerId,
  Startable,
  StreamHandler,
  Topology,
} from '@libp2p/interface';
import { AspenError, type Crypto, type Logger, type PeerId } from '../base/index.ts';
import type { Transport } from './transport.ts';
import { GOSSIP_BYTES_LIMIT } from './transport.ts';

type Registrar = GossipSubComponents['registrar'];
type Subscriber = (message: Uint8Array, relayedBy: PeerId) => boolean;

export interface GossipComponents {
  readonly libp2p: GossipSubComponents;
  readonly crypto: Crypto;
  readonly log: Logger;
  /** Whether this peer may speak now; asked at every stream it opens. */
  readonly isMember: (peerId: Libp2pPeerId) => boolean;
}

/**
 * Whom a message is passed on to. The library's own numbers (6, up to 12, and 6 more that are told what there is) are made for an open network
 * of thousands: among some tens of members everybody heard everything from eight others. With three each random graphs of any size hang together; as
 * newcomers add theirs to those of others it is the most that decides how often all hear the same. What is lost comes with anti-entropy.
 */
const NEIGHBOURS = { D: 3, Dlo: 2, Dhi: 4, Dscore: 1, Dout: 1, Dlazy: 2, gossipFactor: 0.05 };
/** Messages of one publisher that are remembered, so that none is delivered twice. Unit: ms. */
const SEEN_MS = 120_000;

/**
 * Gossipsub among linked members. Messages are unsigned on this level (their authors sign inside) and named by the hash of
 * topic and content. Peers are brought in and taken out by us, with their channel, instead of by the identify protocol, so that
 * a stranger never gets into the overlay.
 */
export class Libp2pGossip {
  readonly #gossip: GossipSub & Startable;
  readonly #meshPrefix: string;
  readonly #log: Logger;
  readonly #topologies = new Map<string, Topology>();
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  #lastTopologyId = 0;
  #isStarted = false;

  constructor({ libp2p, crypto, log, isMember }: GossipComponents, { meshId }: { readonly meshId: string }) {
    this.#meshPrefix = `aspen/${meshId}/`;
    this.#log = log;
    const registrar = this.#guardedRegistrar(libp2p.registrar, isMember);
    const { privateKey, peerId, peerStore, connectionManager, logger } = libp2p;
    this.#gossip = gossipsub({
      globalSignaturePolicy: StrictNoSign,
      msgIdFn: ({ topic, data }) =>
        crypto.sha256(Buffer.concat([Buffer.from(`${topic}\n`), data])).subarray(0, 20),
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      fallbackToFloodsub: false,
      floodPublish: false,
      doPX: false,
      tagMeshPeers: false,
      seenTTL: SEEN_MS,
      ...NEIGHBOURS,
      maxInboundDataLength: GOSSIP_BYTES_LIMIT * 4,
      maxOutboundBufferSize: GOSSIP_BYTES_LIMIT * 64,
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
      scoreParams: { IPColocationFactorWeight: 0 }, // many agents may share one address
    })({ privateKey, peerId, peerStore, connectionManager, logger, registrar }) as GossipSub & Startable;
  }

  async start(): Promise<void> {
    await this.#gossip.start();
    this.#isStarted = true;
    for (const topic of this.#subscribers.keys()) this.#gossip.subscribe(this.#meshPrefix + topic);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#gossip.stop();
  }

  peerJoined(peerId: Libp2pPeerId, connection: Connection): void {
    for (const topology of this.#topologies.values()) void topology.onConnect?.(peerId, connection);
  }

  peerLeft(peerId: Libp2pPeerId): void {
    for (const topology of this.#topologies.values()) void topology.onDisconnect?.(peerId);
  }

  publish: Transport['gossip']['publish'] = (topic, message) => {
    if (message.length > GOSSIP_BYTES_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${message.length} bytes do not fit a gossip message`, {
        details: { limit: 'GOSSIP_BYTES_LIMIT' },
      });
    }
    this.#gossip
      .publish(this.#meshPrefix + topic, message)
      .catch((err: unknown) =>
        this.#log.debug({ err, topic }, 'gossip was not sent, anti-entropy will carry it'),
      );
  };

  subscribe: Transport['gossip']['subscribe'] = (topic, callback) => {
    const own: Subscriber = (message, relayedBy) => callback(message, relayedBy);
    const subscribers = this.#subscribers.get(topic) ?? this.#openTopic(topic);
    subscribers.add(own);
    return {
      [Symbol.dispose]: () => {
        subscribers.delete(own);
        if (subscribers.size === 0 && this.#subscribers.get(topic) === subscribers) this.#closeTopic(topic);
      },
    };
  };

  #openTopic(topic: string): Set<Subscriber> {
    const subscribers = new Set<Subscriber>();
    const name = this.#meshPrefix + topic;
    this.#subscribers.set(topic, subscribers);
    this.#gossip.topicValidators.set(name, (relayedBy, { data }) => {
      const peerId = relayedBy.toString() as PeerId;
      const isGood =
        data.length <= GOSSIP_BYTES_LIMIT &&
        [...subscribers].map((tell) => tell(data, peerId)).every(Boolean);
      // Not `Reject`, which would lower the score of a neighbour that only relayed what a newer version sent.
      return isGood ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    });
    if (this.#isStarted) this.#gossip.subscribe(name);
    return subscribers;
  }

  #closeTopic(topic: string): void {
    const name = this.#meshPrefix + topic;
    this.#subscribers.delete(topic);
    this.#gossip.topicValidators.delete(name);
    if (this.#isStarted) this.#gossip.unsubscribe(name);
  }

  #guardedRegistrar(registrar: Registrar, isMember: GossipComponents['isMember']): Registrar {
    const guard =
      (handler: StreamHandler): StreamHandler =>
      (stream, connection) => {
        if (isMember(connection.remotePeer)) return handler(stream, connection);
        stream.abort(new Error('only members gossip'));
      };
    return {
      getProtocols: () => registrar.getProtocols(),
      handle: (protocol, handler, options) => registrar.handle(protocol, guard(handler), options),
      unhandle: (protocol, options) => registrar.unhandle(protocol, options),
      getHandler: (protocol) => registrar.getHandler(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: (protocol) => registrar.unuse(protocol),
      getMiddleware: (protocol) => registrar.getMiddleware(protocol),
      register: async (_protocol, topology) => {
        this.#lastTopologyId += 1;
        this.#topologies.set(`${this.#lastTopologyId}`, topology);
        return `${this.#lastTopologyId}`;
      },
      unregister: (id) => void this.#topologies.delete(id),
      getTopologies: () => [...this.#topologies.values()],
    };
  }
}
