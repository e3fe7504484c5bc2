import type { Server, Socket } from 'node:net';
import type { MultiaddrConnection } from '@libp2p/interface';
import type { tcp } from '@libp2p/tcp';
import { invariant } from '../base/index.ts';
import { SourceBudget, sourceOf } from './source-budget.ts';

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
 * Lets connections in until it is known who they are, so many at once of each address (F1): half-open ones from one place keep nobody else out.
 * What it turns away costs a socket and nothing of libp2p.
 */
export class Door {
  readonly #budget = new SourceBudget({
    perSourceLimit: HANDSHAKES_PER_SOURCE,
    totalLimit: HANDSHAKES_LIMIT,
  });
  /** By the far end of the connection. */
  readonly #places = new Map<string, () => void>();

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
  admits({ remoteAddr }: MultiaddrConnection): boolean {
    const address = remoteAddr.toString();
    return (
      this.#places.has(farEndOf(address)) || this.#take(farEndOf(address), sourceOf(address)) !== undefined
    );
  }

  /** The handshake has told who it is; what it may do from now on, others decide. */
  known({ remoteAddr }: MultiaddrConnection): void {
    this.#places.get(farEndOf(remoteAddr.toString()))?.();
  }

  /**
   * What came from one place speaks for another one: from now on it has its place there.
   * @param from multiaddr of the connection itself. @param to multiaddr of whom it speaks for.
   * @returns what gives the place back; undefined when there is none.
   */
  move(from: string, to: string): (() => void) | undefined {
    this.#places.get(farEndOf(from))?.();
    return this.#take(farEndOf(to), sourceOf(to));
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
      const giveBack = this.#take(farEndOf(address), sourceOf(address));
      if (giveBack === undefined) {
        socket.on('error', () => socket.destroy()); // it may break while it is being closed
        socket.resetAndDestroy();
        return;
      }
      socket.once('close', giveBack);
      accept.call(server, socket);
    });
  }

  #take(farEnd: string, source: string): (() => void) | undefined {
    const giveBack = this.#budget.take(source);
    if (giveBack === undefined) return undefined;
    const end = () => {
      clearTimeout(timer);
      if (this.#places.get(farEnd) === end) this.#places.delete(farEnd);
      giveBack();
    };
    const timer = setTimeout(end, PLACE_MS).unref();
    this.#places.set(farEnd, end);
    return end;
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
