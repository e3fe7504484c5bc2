import { createSocket, type Socket } from 'node:dgram';
import type {
  ComponentLogger,
  Connection,
  MultiaddrConnection,
  PrivateKey,
  Upgrader,
} from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { AspenError, type Clock, type Logger, type PeerId, withDeadline } from '../base/index.ts';
import { QuicEnd, type QuicLibrary, type QuicPipe } from './libp2p-quic.ts';
import { QuicPortWatch } from './libp2p-quic-port-watch.ts';
import { streamAsConnection } from './libp2p-stream-connection.ts';
import type { Ear, HolePart, UdpHole, UdpPlace } from './transport.ts';

export interface QuicHolesComponents {
  readonly library: QuicLibrary;
  readonly privateKey: PrivateKey;
  readonly logger: ComponentLogger;
  readonly upgrader: Upgrader;
  readonly clock: Clock;
  readonly log: Logger;
  /** Moves the link to a peer to this connection. */
  readonly onInitiated: (peerId: PeerId, connection: Connection, signal: AbortSignal) => Promise<void>;
}

/** The call is repeated after 1 and 3 s where it is lost. Unit: ms. */
const THROUGH_MS = 5_000;
/** A datagram may be lost: so many are sent. */
const DATAGRAMS = 3;
/** Ports that wait for a peer or carry its connection. */
const ANSWERS_LIMIT = 256;

interface Open {
  end(): Promise<void>;
}

/**
 * Holes by QUIC. The connection that comes through carries one stream, and on it the two make a libp2p connection like on a circuit: same
 * multiplexer, same gate. Who is there, the handshake of QUIC has proved.
 *
 * - U5 Over QUIC too who reads slowly is not cut off and holds no more than the windows of its streams: the credits are the multiplexer's.
 */
export class Libp2pQuicHoles {
  readonly #components: QuicHolesComponents;
  readonly #quic: QuicEnd;
  readonly #ports: QuicPortWatch;
  /** Until they have ended. */
  readonly #open = new Set<Open>();

  constructor(components: QuicHolesComponents) {
    this.#components = components;
    const { library, privateKey, logger, log } = components;
    const onFailure = (err: unknown) => log.error({ err }, 'a listener for QUIC failed in an unknown way');
    this.#quic = new QuicEnd({ library, privateKey, logger, onFailure });
    this.#ports = new QuicPortWatch(components);
  }

  /** @throws AspenError UNAVAILABLE when as many ports are open as may be, or the system refuses one. */
  async open(part: HolePart): Promise<UdpHole> {
    return part === 'calls' ? this.#caller() : await this.#answerer();
  }

  /** Ends what is open, links over it too. */
  async stop(): Promise<void> {
    await Promise.all([...this.#open].map((open) => this.#end(open)));
    await this.#quic[Symbol.asyncDispose]();
  }

  #caller(): UdpHole {
    const { upgrader, onInitiated } = this.#components;
    return {
      show: (ear) => this.#quic.show(ear),
      through: (peerId, place, signal) =>
        this.#within(signal, async (over) => {
          const wire = this.#wire(await this.#quic.call(place, peerId, over), 'outbound');
          const connection = await this.#orEnd(wire, () =>
            upgrader.upgradeOutbound(wire, proved(peerId, over)),
          );
          await onInitiated(peerId, connection, over);
        }),
      [Symbol.dispose]: () => undefined, // calls share one port
    };
  }

  async #answerer(): Promise<UdpHole> {
    if (this.#open.size >= ANSWERS_LIMIT) throw noHole(`${ANSWERS_LIMIT} ports are open`);
    const socket = await openSocket();
    const localPort = socket.address().port;
    let isSocketOpen = true;
    const closeSocket = () => {
      if (isSocketOpen) socket.close();
      isSocketOpen = false;
    };
    return {
      show: (ear: Ear) => void sendTo(socket, ear, ear.token), // it never rejects
      through: async (peerId, place, signal) => {
        await sendTo(socket, place, Uint8Array.of(0)); // opens the own router for the peer
        closeSocket();
        await this.#answer(peerId, localPort, signal);
      },
      [Symbol.dispose]: closeSocket,
    };
  }

  async #answer(peerId: PeerId, localPort: number, signal: AbortSignal): Promise<void> {
    const { upgrader } = this.#components;
    const { come, handshakeCount, close } = await this.#quic.answer(localPort, peerId);
    const watching = this.#ports.watch({ port: localPort, handshakeCount, close });
    const waiting: Open = { end: watching.close };
    this.#open.add(waiting);
    let hasCome = false;
    try {
      await this.#within(signal, async (over) => {
        const pipe = { ...(await Promise.race([come, watching.givenUp])), end: watching.close };
        over.throwIfAborted();
        hasCome = true; // from here on it ends with the wire
        const wire = this.#wire(pipe, 'inbound');
        await this.#orEnd(wire, () => upgrader.upgradeInbound(wire, proved(peerId, over)));
      });
    } finally {
      if (hasCome) this.#open.delete(waiting);
      else await this.#end(waiting);
    }
  }

  /** The connection ends with it. */
  #wire(pipe: QuicPipe, direction: 'inbound' | 'outbound'): MultiaddrConnection {
    this.#open.add(pipe);
    const wire = streamAsConnection(pipe.stream, { remoteAddress: pipe.address, direction });
    wire.addEventListener('close', () => void this.#end(pipe), { once: true }); // it never rejects
    if (pipe.stream.status !== 'open') wire.abort(new Error('the connection has ended'));
    return wire;
  }

  async #end(open: Open): Promise<void> {
    try {
      await open.end();
    } catch (err) {
      this.#components.log.warn({ err }, 'a port of QUIC was not closed');
    } finally {
      this.#open.delete(open);
    }
  }

  async #orEnd<T>(wire: MultiaddrConnection, upgrade: () => Promise<T>): Promise<T> {
    try {
      return await upgrade();
    } catch (error) {
      wire.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  async #within(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#components;
    try {
      await withDeadline({ clock, timeoutMs: THROUGH_MS, what: 'a hole by QUIC', signal }, work);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof AspenError ? error : noHole('nothing came through', error);
    }
  }
}

/** Whom the handshake of QUIC has proved to be there; the gate is asked all the same. */
function proved(peerId: PeerId, signal: AbortSignal) {
  return {
    skipEncryption: true as const,
    skipProtection: true,
    remotePeer: peerIdFromString(peerId),
    signal,
  };
}

function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(noHole(`no UDP port: ${cause.message}`, cause));
    socket.once('error', onError);
    socket.bind(0, () => {
      socket.off('error', onError);
      socket.on('error', () => undefined); // what was on its way is lost, as it may be anyhow
      socket.unref();
      resolve(socket);
    });
  });
}

/** @returns what resolves when they have left, or were lost already. */
async function sendTo(socket: Socket, { host, port }: UdpPlace, bytes: Uint8Array): Promise<void> {
  const send = () => new Promise<void>((resolve) => socket.send(bytes, port, host, () => resolve()));
  await Promise.all(Array.from({ length: DATAGRAMS }, send));
}

function noHole(why: string, cause?: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `no hole by QUIC: ${why}`, {
    outcome: 'not-applied',
    ...(cause !== undefined && { cause }),
  });
}
