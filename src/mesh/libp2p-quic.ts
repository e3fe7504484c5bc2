import type {
  ComponentLogger,
  MultiaddrConnection,
  PrivateKey,
  Stream,
  StreamMuxerFactory,
} from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { mayGoUnheard, type PeerId } from '../base/index.ts';
import type { UdpPlace } from './transport.ts';

/** What the library makes of one QUIC connection; the identity is proved by its handshake. */
interface Raw {
  readonly remotePeer: { toString(): string };
  readonly muxerFactory: StreamMuxerFactory;
}

/** What the library asks for; here it stands for the first half of an upgrade only. */
interface RawUpgrader {
  upgradeOutbound?(wire: MultiaddrConnection, raw: Raw): Promise<unknown>;
  upgradeInbound?(wire: MultiaddrConnection, raw: Raw): Promise<unknown>;
}

/** The native end of a port that listens; private there. */
interface RawServer {
  inboundConnection(): Promise<unknown>;
  stats(): { readonly acceptedHandshakes: bigint | number };
}

interface RawListener {
  readonly state: { readonly listener: RawServer };
  listen(address: Multiaddr): Promise<void>;
  close(): Promise<void>;
  /** One handshake after the other, until the listener is closed. */
  awaitInboundConnections(): Promise<void>;
}

interface RawTransport {
  dial(
    address: Multiaddr,
    how: { readonly signal: AbortSignal; readonly upgrader: RawUpgrader },
  ): Promise<unknown>;
  createListener(how: { readonly upgrader: RawUpgrader }): RawListener;
  stop(): Promise<void>;
}

/** What is used of `@chainsafe/libp2p-quic`. */
export interface QuicLibrary {
  quic(
    options: Readonly<Record<string, unknown>>,
  ): (components: { readonly privateKey: PrivateKey; readonly logger: ComponentLogger }) => RawTransport;
}

const PACKAGE: string = '@chainsafe/libp2p-quic';

/**
 * The package is optional, and so is what it needs for this machine.
 * @returns the library, or why there is none.
 */
export async function loadQuic(
  load: (name: string) => Promise<unknown> = (name) => import(name),
): Promise<QuicLibrary | string> {
  try {
    const library = await load(PACKAGE);
    return isLibrary(library) ? library : `${PACKAGE} is not the version that was expected`;
  } catch (error) {
    const [line = ''] = String(error instanceof Error ? error.message : error).split('\n');
    return `${PACKAGE} is not there for this machine: ${line.slice(0, 120)}`;
  }
}

function isLibrary(library: unknown): library is QuicLibrary {
  return (
    typeof library === 'object' && library !== null && 'quic' in library && typeof library.quic === 'function'
  );
}

/** One stream over a QUIC connection of its own, to a peer that its handshake has identified. */
export interface QuicPipe {
  readonly stream: Stream;
  /** Where it leads, with the peer id. */
  readonly address: string;
  /** Ends the connection, and the port that only it used; resolves when that is free. Does nothing when it has ended. */
  end(): Promise<void>;
}

/** A port that waits for one peer. */
export interface QuicAnswering {
  /** Resolves when it has come. */
  readonly come: Promise<QuicPipe>;
  /** Handshakes that began there, whoever began them, and whatever came of them. */
  handshakeCount(): number;
  close(): Promise<void>;
}

export interface QuicEndComponents {
  readonly library: QuicLibrary;
  readonly privateKey: PrivateKey;
  readonly logger: ComponentLogger;
  readonly onFailure: (error: unknown) => void;
}

/**
 * The library takes one handshake after the other, and one that stays half open holds up the next for {@link IDLE_MS}: so many are taken at
 * once here (U4).
 */
export const HANDSHAKES_AT_ONCE = 16;
/** A router forgets a UDP port in half a minute at the soonest. Unit: ms. */
const KEEP_ALIVE_MS = 12_000;
/** Links have their own signs of life, which end them sooner. Unit: ms. */
const IDLE_MS = 30_000;
/** What may be on its way on one connection; more is not sent before it has arrived. Unit: bytes. */
const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * This node's end of QUIC: one port that calls leave from, and one for each peer that is waited for. A connection has one stream: the library's
 * own streams read without a bound that the reader could set, so the streams of a link are made above that one, with credits of their own.
 */
export class QuicEnd implements AsyncDisposable {
  readonly #transport: RawTransport;
  readonly #onFailure: (error: unknown) => void;

  constructor({ library, privateKey, logger, onFailure }: QuicEndComponents) {
    this.#onFailure = onFailure;
    const make = library.quic({
      ipv6: false,
      handshakeTimeout: IDLE_MS,
      maxIdleTimeout: IDLE_MS,
      keepAliveInterval: KEEP_ALIVE_MS,
      maxConcurrentStreamLimit: 1,
      maxStreamData: WINDOW_BYTES,
      maxConnectionData: WINDOW_BYTES,
    });
    this.#transport = make({ privateKey, logger });
  }

  /** Sends the first datagram of a connection from the port that calls leave from; nobody answers it. */
  show(place: UdpPlace): void {
    const upgrader: RawUpgrader = {
      upgradeOutbound: () => Promise.reject(new Error('nobody was to answer')),
    };
    mayGoUnheard(this.#transport.dial(placeOf(place), { signal: NEVER, upgrader })); // it fails, as it should
  }

  /** Rejects when the place does not answer, or another peer does. What comes after the signal has aborted is ended. */
  async call(place: UdpPlace, peerId: PeerId, signal: AbortSignal): Promise<QuicPipe> {
    const upgrader: RawUpgrader = {
      upgradeOutbound: async (wire, { muxerFactory }): Promise<QuicPipe> => {
        signal.throwIfAborted();
        const stream = await muxerFactory.createStreamMuxer(wire).createStream();
        return { stream, address: wire.remoteAddr.toString(), end: async () => abort(wire) };
      },
    };
    const target = placeOf(place).encapsulate(`/p2p/${peerId}`);
    return (await this.#transport.dial(target, { signal, upgrader })) as QuicPipe;
  }

  /** Listens on a port for one peer, and refuses everybody else. */
  async answer(port: number, peerId: PeerId): Promise<QuicAnswering> {
    const { promise, resolve } = Promise.withResolvers<QuicPipe>();
    let isTaken = false;
    const upgrader: RawUpgrader = {
      upgradeInbound: async (wire, { remotePeer, muxerFactory }) => {
        if (isTaken || remotePeer.toString() !== peerId) throw new Error('nobody else is waited for'); // U4
        isTaken = true;
        const muxer = muxerFactory.createStreamMuxer(wire);
        const address = wire.remoteAddr.toString();
        muxer.addEventListener('stream', ({ detail: stream }) => resolve({ stream, address, end: close }), {
          once: true,
        });
      },
    };
    const listener = this.#transport.createListener({ upgrader });
    let closing: Promise<void> | undefined;
    const close = () => {
      closing ??= listener.close();
      return closing;
    };
    await listener.listen(placeOf({ host: '0.0.0.0', port }));
    const handshakeCount = counting(listener.state.listener);
    for (let count = 1; count < HANDSHAKES_AT_ONCE; count += 1)
      listener.awaitInboundConnections().catch(this.#onFailure);
    return { come: promise, handshakeCount, close };
  }

  /** Ends all calls, and what came of them; whoever has let a port answer closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.stop();
  }
}

/** Counts from now on. The library counts those that it goes on with; the others fail as they are taken. */
function counting(server: RawServer): () => number {
  const inboundConnection = server.inboundConnection.bind(server);
  let failedCount = 0;
  server.inboundConnection = () => {
    const next = inboundConnection();
    next.catch(() => {
      failedCount += 1;
    });
    return next;
  };
  return () => failedCount + Number(server.stats().acceptedHandshakes);
}

const NEVER = new AbortController().signal;

function abort(wire: MultiaddrConnection): void {
  wire.abort(new Error('the connection is not needed any more'));
}

function placeOf({ host, port }: UdpPlace): Multiaddr {
  return multiaddr(`/ip4/${host}/udp/${port}/quic-v1`);
}
