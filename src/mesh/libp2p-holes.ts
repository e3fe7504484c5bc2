import type { Connection, Libp2p, MultiaddrConnection, Stream, Upgrader } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import {
  AspenError,
  type Clock,
  type MeshId,
  type PeerId,
  type Random,
  randomInt,
  sleep,
  withDeadline,
} from '../base/index.ts';
import { isCircuit, withoutTarget } from './circuit-address.ts';
import type { TransportManager } from './libp2p-node.ts';
import type { Hole } from './transport.ts';

export interface HolesComponents {
  readonly node: Libp2p;
  readonly transportManager: Pick<TransportManager, 'dialTransportForMultiaddr'>;
  readonly upgrader: Upgrader;
  readonly clock: Clock;
  readonly random: Random;
  readonly isMember: (peerId: Connection['remotePeer']) => boolean;
  /** The connection of the channel to a peer, where that is a direct one. */
  readonly directTo: (peerId: string) => Connection | undefined;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
  /** Moves the link to a peer to this connection. */
  readonly onInitiated: (peerId: PeerId, connection: Connection, signal: AbortSignal) => Promise<void>;
}

interface Dial {
  readonly address: string;
  readonly peerId: string;
  readonly localPort: number;
  readonly upgrader: Upgrader;
}

const OBSERVE_TIMEOUT_MS = 5_000;
/** Two packets that are lost are sent again within this time. */
const THROUGH_TIMEOUT_MS = 7_000;
/** After a refusal: the other end has not begun yet, or the translator says no for it. Unit: ms. */
const AGAIN_MS = 150;
const ADDRESS_LIMIT = 256;
/** Where local ports are taken from: most systems give out the same range by themselves. */
const LOCAL_PORTS = { from: 32_768, to: 60_999 };
const PORT_TRIES = 4;
const STREAMS_LIMIT = 8;

/** TCP simultaneous open: two ends that connect to each other at the same moment have one connection, and nobody has listened. */
export class Libp2pHoles {
  readonly #components: HolesComponents;
  readonly #protocol: string;
  /** Connections that nobody could have made without our help: they prove nothing about who reaches this node. */
  readonly #made = new WeakSet<Connection>();

  constructor(components: HolesComponents, { meshId }: { readonly meshId: MeshId }) {
    this.#components = components;
    this.#protocol = `/aspen/${meshId}/observe/1`;
  }

  async start(): Promise<void> {
    await this.#components.node.handle(
      this.#protocol,
      (stream, connection) => this.#tellAddress(stream, connection),
      { maxInboundStreams: STREAMS_LIMIT, maxOutboundStreams: STREAMS_LIMIT },
    );
  }

  wasMadeHere(connection: Connection): boolean {
    return this.#made.has(connection);
  }

  /** @throws AspenError UNAVAILABLE when the observer is not linked, or does not say. */
  async open(observer: PeerId, signal: AbortSignal): Promise<Hole> {
    const linked = this.#components.directTo(observer);
    if (linked?.direction !== 'outbound') throw noHole(`${observer} is not linked from here`);
    const address = withoutTarget(linked.remoteAddr.toString());
    const { upgrader, markBusy } = this.#components;
    const localPort = randomInt(this.#components.random, LOCAL_PORTS);
    const connection = await this.#dialWithin(OBSERVE_TIMEOUT_MS, signal, {
      address,
      peerId: observer,
      localPort,
      upgrader,
    });
    const busy = markBusy(connection);
    try {
      const seen = await this.#askAddress(connection, signal);
      return {
        address: seen,
        through: (peerId, theirs, how) => this.#through(peerId, theirs, localPort, how),
        [Symbol.dispose]: () => {
          busy?.[Symbol.dispose]();
          connection.abort(new Error('the hole is not needed any more'));
        },
      };
    } catch (error) {
      busy?.[Symbol.dispose]();
      connection.abort(error instanceof Error ? error : new Error(String(error)));
      throw error instanceof AspenError
        ? error
        : noHole(`${observer} does not say where it sees this node`, error);
    }
  }

  async #through(
    peerId: PeerId,
    address: string,
    localPort: number,
    { isInitiator, signal }: { readonly isInitiator: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const { upgrader } = this.#components;
    const dial = { address, peerId, localPort, upgrader: isInitiator ? upgrader : asResponder(upgrader) };
    const connection = await this.#dialWithin(THROUGH_TIMEOUT_MS, signal, dial);
    this.#made.add(connection);
    if (isInitiator) await this.#components.onInitiated(peerId, connection, signal);
  }

  /** Tries again until the time is over. The signal of the attempt that worked never aborts: the socket listens to it as long as it lives. */
  async #dialWithin(timeoutMs: number, signal: AbortSignal, dial: Dial): Promise<Connection> {
    const { clock } = this.#components;
    const endMs = clock.monotonicMs() + timeoutMs;
    for (let failures = 0; ; ) {
      const attempt = new AbortController();
      const onAbort = () => attempt.abort(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      const timer = clock.setTimer(Math.max(1, endMs - clock.monotonicMs()), () =>
        attempt.abort(new Error('nobody comes through')),
      );
      try {
        return await this.#dial(dial, attempt.signal);
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        const isOver = clock.monotonicMs() + AGAIN_MS >= endMs;
        if (isOver || (isPortTaken(error) && failures >= PORT_TRIES))
          throw noHole(`nothing came through to ${dial.address}`, error);
      } finally {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
      }
      await sleep(clock, AGAIN_MS, signal);
    }
  }

  async #dial({ address, peerId, localPort, upgrader }: Dial, signal: AbortSignal): Promise<Connection> {
    const target = multiaddr(`${address}/p2p/${peerId}`);
    const transport = this.#components.transportManager.dialTransportForMultiaddr(target);
    if (transport === undefined || isCircuit(address)) throw noHole(`${address} is not dialed directly`);
    // libp2p's TCP hands what it does not know on to the socket.
    const options = { signal, upgrader, localPort };
    return await transport.dial(target, options);
  }

  async #askAddress(connection: Connection, signal: AbortSignal): Promise<string> {
    const { clock } = this.#components;
    const what = 'asking for the own address';
    return await withDeadline({ clock, timeoutMs: OBSERVE_TIMEOUT_MS, what, signal }, async (over) => {
      const stream = await connection.newStream(this.#protocol, { signal: over });
      const answer = await lpStream(stream, { maxDataLength: ADDRESS_LIMIT }).read({ signal: over });
      await stream.close({ signal: over });
      return Buffer.from(answer.subarray()).toString('utf8');
    });
  }

  #tellAddress(stream: Stream, connection: Connection): void {
    if (!this.#components.isMember(connection.remotePeer)) {
      stream.abort(new Error('not a member')); // T2
      return;
    }
    const address = Buffer.from(withoutTarget(connection.remoteAddr.toString()), 'utf8');
    const writes = lpStream(stream, { maxDataLength: ADDRESS_LIMIT });
    writes
      .write(address)
      .then(() => stream.close())
      .catch((error: Error) => stream.abort(error));
  }
}

/** Both ends have connected; one of them plays the part of who was called. */
function asResponder(upgrader: Upgrader): Upgrader {
  const responder: Pick<Upgrader, 'upgradeOutbound'> = {
    upgradeOutbound: (wire: MultiaddrConnection, options: Parameters<Upgrader['upgradeOutbound']>[1]) => {
      wire.direction = 'inbound'; // who is who on the encrypted and on the multiplexed layer follows from it
      return upgrader.upgradeOutbound(wire, { ...options, initiator: false });
    },
  };
  return new Proxy(upgrader, {
    get: (target, key) => (key === 'upgradeOutbound' ? responder.upgradeOutbound : Reflect.get(target, key)),
  });
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function noHole(why: string, cause?: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `no hole: ${why}`, { outcome: 'not-applied', cause });
}
