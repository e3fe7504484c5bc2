import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { GossipSubComponents } from '@libp2p/gossipsub';
import {
  type Connection,
  type ConnectionGater,
  FaultTolerance,
  type Libp2p,
  type Transport,
  type Upgrader,
} from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { CIRCUITS_PER_PEER_LIMIT } from './circuit-rules.ts';
import { giveCreditInHalves } from './libp2p-credit.ts';
import { type Door, HANDSHAKE_MS, HANDSHAKES_LIMIT } from './libp2p-door.ts';
import { leanNoise } from './libp2p-noise.ts';
import { gathering } from './libp2p-wire.ts';
import { type WebSocketsOptions, webSockets } from './libp2p-ws.ts';

/** What is used of libp2p's transport manager. */
export interface TransportManager {
  getAddrs(): readonly { toString(): string }[];
  dial(address: Multiaddr, options: { readonly signal: AbortSignal }): Promise<Connection>;
  dialTransportForMultiaddr(address: Multiaddr): Transport | undefined;
}

/** What the parts of the transport need of libp2p beside the node itself. */
export interface Libp2pParts {
  readonly node: Libp2p;
  readonly components: GossipSubComponents & {
    readonly transportManager: TransportManager;
    readonly upgrader: Upgrader;
  };
}

export interface Libp2pNodeOptions {
  /** Ed25519 seed of the identity, 32 bytes. */
  readonly seed: Uint8Array;
  readonly listen: readonly string[];
  readonly gater: ConnectionGater;
  readonly door: Door;
  readonly webSockets: Omit<WebSocketsOptions, 'door'>;
}

/** Per stream; the sum over a peer's streams bounds what it can make us buffer. */
const FIRST_WINDOW_BYTES = 256 * 2 ** 10;
const MOST_WINDOW_BYTES = 2 ** 20;
/** Channel, gossip, admission, and each circuit that a relay carries for the peer. */
const STREAMS_LIMIT = 64 + CIRCUITS_PER_PEER_LIMIT;

giveCreditInHalves();

/**
 * libp2p with TCP, WebSockets, noise and yamux and nothing else: no identify, ping, relay or DHT of its own, so that what a stranger could speak to
 * is what we put there. The connection monitor is off because it aborts connections of a busy peer; the channels have their own liveness.
 */
export async function createNode(options: Libp2pNodeOptions): Promise<Libp2pParts> {
  const { seed, listen, gater, door } = options;
  let components: Libp2pParts['components'] | undefined;
  const node = await createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', seed),
    addresses: { listen: [...listen] },
    transports: [
      door.before(
        tcp({ outboundSocketInactivityTimeout: undefined, inboundSocketInactivityTimeout: undefined }),
      ),
      webSockets({ ...options.webSockets, door }),
    ],
    connectionEncrypters: [gathering(leanNoise(), (connection) => door.encrypts(connection))],
    streamMuxers: [
      yamux({
        enableKeepAlive: false,
        maxInboundStreams: STREAMS_LIMIT,
        maxOutboundStreams: STREAMS_LIMIT,
        streamOptions: {
          initialStreamWindowSize: FIRST_WINDOW_BYTES,
          maxStreamWindowSize: MOST_WINDOW_BYTES,
        },
      }),
    ],
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    connectionGater: gater,
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: 2_048,
      maxParallelDials: 32,
      maxIncomingPendingConnections: 2 * HANDSHAKES_LIMIT, // the door decides before
      inboundConnectionThreshold: 128,
      inboundUpgradeTimeout: HANDSHAKE_MS,
      dialTimeout: 8_000,
      addressDialTimeout: 2_000,
      connectionCloseTimeout: 500,
      reconnectRetries: 0,
    },
    services: {
      parts: (all) => {
        components = all as unknown as Libp2pParts['components'];
        return {};
      },
    },
  });
  if (components === undefined) throw new Error('libp2p made no components');
  return { node, components };
}
