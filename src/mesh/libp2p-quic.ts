import type {
  ComponentLogger,
  MultiaddrConnection,
  PrivateKey,
  Stream,
  StreamMuxer,
  StreamMuxerFactory,
} from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../base/index.ts';
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

interface RawListener {
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
}

export interface QuicPortComponents {
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
 * One UDP port for one QUIC connection with one stream on it. The library's own streams read without a bound that the reader could set, so the
 * streams of a link are made above that one, with credits of their own.
 */
export class QuicPort implements AsyncDisposable {
  readonly #transport: RawTransport;
  #listener: RawListener | undefined;
  #ending: Promise<void> | undefined;
  readonly #onFailure: (error: unknown) => void;

  constructor({ library, privateKey, logger, onFailure }: QuicPortComponents) {
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

  /** Sends the first datagram of a connection from the port that {@link call} uses; nobody answers it. */
  show({ host, port }: UdpPlace): void {
    const never = new AbortController().signal;
    this.#transport.dial(placeOf({ host, port }), { signal: never, upgrader: {} }).catch(() => undefined); // that nobody answers is how it should be
  }

  /** Rejects when the place does not answer, or another peer does; disposing ends it before. */
  async call(place: UdpPlace, peerId: PeerId, signal: AbortSignal): Promise<QuicPipe> {
    const upgrader: RawUpgrader = {
      upgradeOutbound: async (wire, { muxerFactory }) => ({
        wire,
        muxer: muxerFactory.createStreamMuxer(wire),
      }),
    };
    const target = placeOf(place).encapsulate(`/p2p/${peerId}`);
    const dialed = await this.#transport.dial(target, { signal, upgrader });
    const { wire, muxer } = dialed as { wire: MultiaddrConnection; muxer: StreamMuxer };
    return { stream: await muxer.createStream(), address: wire.remoteAddr.toString() };
  }

  /**
   * Listens on a port until the peer has come, and refuses everybody else.
   * @returns what resolves when it has.
   */
  async answer(port: number, peerId: PeerId): Promise<{ readonly come: Promise<QuicPipe> }> {
    const { promise, resolve } = Promise.withResolvers<QuicPipe>();
    let isTaken = false;
    const upgrader: RawUpgrader = {
      upgradeInbound: async (wire, { remotePeer, muxerFactory }) => {
        if (isTaken || remotePeer.toString() !== peerId) throw new Error('nobody else is waited for'); // U4
        isTaken = true;
        const muxer = muxerFactory.createStreamMuxer(wire);
        muxer.addEventListener(
          'stream',
          ({ detail: stream }) => resolve({ stream, address: wire.remoteAddr.toString() }),
          { once: true },
        );
      },
    };
    const listener = this.#transport.createListener({ upgrader });
    this.#listener = listener;
    await listener.listen(placeOf({ host: '0.0.0.0', port }));
    for (let count = 1; count < HANDSHAKES_AT_ONCE; count += 1)
      listener.awaitInboundConnections().catch(this.#onFailure);
    return { come: promise };
  }

  /** Ends whatever is under way, and the connection; the port is free when it resolves. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    await this.#transport.stop();
    await this.#listener?.close();
  }
}

function placeOf({ host, port }: UdpPlace): Multiaddr {
  return multiaddr(`/ip4/${host}/udp/${port}/quic-v1`);
}
