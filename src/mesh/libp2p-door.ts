import type { Server, Socket } from 'node:net';
import type { MultiaddrConnection } from '@libp2p/interface';
import type { tcp } from '@libp2p/tcp';
import { type Clock, invariant } from '../base/index.ts';
import { type Arrival, ArrivalBudget } from './arrival-budget.ts';
import { FirstBytes } from './libp2p-first-bytes.ts';
import { sourceOf } from './source-budget.ts';

/** Handshakes under way. Each holds a socket, a few kilobytes and at most {@link HANDSHAKE_MS}. */
export const HANDSHAKES_LIMIT = 512;
/** Many agents may live on one machine, or behind one address of a provider. */
export const HANDSHAKES_PER_SOURCE = 64;
/** Unit: ms. */
export const HANDSHAKE_MS = 5_000;
/** A place is given back then at the latest: whoever is not known by then was cut off. Unit: ms. */
const PLACE_MS = HANDSHAKE_MS + 1_000;

type TcpFactory = ReturnType<typeof tcp>;

/**
 * Lets connections in until it is known who they are, so many at once of each address (F1), and no more of doubtful addresses than may be spent on
 * them (F4). What it turns away costs a socket and nothing of libp2p.
 */
export class Door {
  readonly #budget: ArrivalBudget;
  /** By the far end of the connection. */
  readonly #places = new Map<string, Arrival>();
  readonly #firstBytes = new FirstBytes();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#budget = new ArrivalBudget(clock, {
      places: HANDSHAKES_LIMIT,
      placesPerSource: HANDSHAKES_PER_SOURCE,
    });
  }

  /** Turned away since the start. */
  get refusedCount(): number {
    return this.#budget.refusedCount;
  }

  /** Handshakes under way. */
  get pendingCount(): number {
    return this.#budget.total;
  }

  /** Stands before every listener of a TCP transport. */
  before(make: TcpFactory): TcpFactory {
    return (components) => {
      const transport = make(components);
      const createListener = transport.createListener.bind(transport);
      transport.createListener = (options) => {
        const listener = createListener(options);
        this.guard((listener as unknown as { readonly server?: Server }).server);
        return listener;
      };
      return transport;
    };
  }

  /** For connections of whatever kind. @returns whether it may begin its handshake; one that came through {@link before} may. */
  admits(connection: MultiaddrConnection): boolean {
    const address = connection.remoteAddr.toString();
    const farEnd = farEndOf(address);
    if (!this.#places.has(farEnd) && this.#take(farEnd, sourceOf(address)) === undefined) return false;
    this.#firstBytes.count(connection);
    return true;
  }

  /** It has been agreed how to encrypt. */
  encrypts(connection: object): void {
    this.#firstBytes.encrypts(connection);
  }

  /** The handshake has told who it is; what it may do from now on, others decide. */
  known(connection: MultiaddrConnection, { isMember }: { readonly isMember: boolean }): void {
    this.#firstBytes.end(connection);
    const place = this.#places.get(farEndOf(connection.remoteAddr.toString()));
    if (isMember) place?.proved();
    place?.end();
  }

  /** A member is linked there. @param address multiaddr */
  welcome(address: string): void {
    this.#budget.prove(sourceOf(address));
  }

  /**
   * What came from one place speaks for another one: from now on it has its place there.
   * @param from multiaddr of the connection itself. @param to multiaddr of whom it speaks for.
   * @returns what gives the place back; undefined when there is none.
   */
  move(from: string, to: string): (() => void) | undefined {
    const place = this.#places.get(farEndOf(from));
    place?.proved(); // the web server has done its part
    place?.end();
    return this.#take(farEndOf(to), sourceOf(to))?.end;
  }

  /** Stands before a server, whatever it speaks. Whoever listens for its connections afterwards sees those too that were turned away: destroyed. */
  guard(server: Server | undefined): void {
    const [accept, ...others] = server?.listeners('connection') ?? [];
    invariant(
      server !== undefined && accept !== undefined && others.length === 0,
      () => 'a listener of libp2p or Node is not built as it was: look at its `server` again',
    );
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      const address = multiaddrOf(socket);
      const place = this.#take(farEndOf(address), sourceOf(address));
      if (place === undefined) {
        socket.on('error', () => socket.destroy()); // it may break while it is being closed
        socket.resetAndDestroy();
        return;
      }
      socket.once('close', place.end);
      accept.call(server, socket);
    });
  }

  #take(farEnd: string, source: string): Arrival | undefined {
    const arrival = this.#budget.take(source);
    if (arrival === undefined) return undefined;
    const end = () => {
      clearTimeout(timer);
      if (this.#places.get(farEnd) === place) this.#places.delete(farEnd);
      arrival.end();
    };
    const place: Arrival = { end, proved: arrival.proved };
    const timer = setTimeout(end, PLACE_MS).unref();
    this.#places.set(farEnd, place);
    return place;
  }
}

function multiaddrOf({ remoteAddress = '', remotePort }: Socket): string {
  const host = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '');
  return `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${remotePort ?? 0}`;
}

/** Host and port, however the rest of the address is written. */
function farEndOf(address: string): string {
  const [, , host = '', , port = ''] = address.split('/');
  return `${host.replace(/^::ffff:(?=\d+\.)/i, '')} ${port}`;
}
