import {
  createServer as createHttp,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { ServerOptions } from 'node:https';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, isIP, type Socket } from 'node:net';
import {
  type ComponentLogger,
  type Listener,
  type ListenerEvents,
  TypedEventEmitter,
  type Upgrader,
} from '@libp2p/interface';
import { getThinWaistAddresses, ipPortToMultiaddr } from '@libp2p/utils';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { AspenError } from '../base/index.ts';
import { forwardedHost } from './forwarded-address.ts';
import { type Door, HANDSHAKE_MS } from './libp2p-door.ts';
import { webSocketConnection } from './libp2p-ws-connection.ts';
import { acceptOf } from './libp2p-ws-dial.ts';
import { parseWsAddress, type WsAddress } from './ws-address.ts';

/** PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface WsListenerComponents {
  readonly upgrader: Upgrader;
  readonly logger: ComponentLogger;
  /** Stands before its server and takes no more connections than it may (F1). */
  readonly door: Pick<Door, 'guard' | 'move'>;
  /** Whether a web server on this machine is believed whom it speaks for. @default false */
  readonly isForwardedTrusted?: boolean;
  /** Asked for when TLS is listened for. */
  readonly tls: () => TlsIdentity;
  /** From the begin of a connection to the end of its handshake. Unit: ms. @default HANDSHAKE_MS */
  readonly handshakeMs?: number;
}

const REQUEST_BYTES_LIMIT = 8 * 2 ** 10;
const REQUEST_HEADERS_LIMIT = 64;
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** A connection from its begin to the end of its handshake: one time for all of it, so that slowness wins nothing at any of its steps. */
interface Arrival {
  readonly socket: Socket;
  readonly abort: AbortController;
  readonly timer: NodeJS.Timeout;
}

/** Takes WebSockets, on TLS or plain behind something that ends TLS. */
export class WsListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #components: WsListenerComponents;
  /** By the far end. */
  readonly #arrivals = new Map<string, Arrival>();
  readonly #sockets = new Set<Socket>();
  #server: HttpServer | undefined;
  #listening: { readonly address: Multiaddr; readonly isTls: boolean } | undefined;

  constructor(components: WsListenerComponents) {
    super();
    this.#components = components;
  }

  /** @throws what the system says, e.g. that the port is taken. */
  async listen(address: Multiaddr): Promise<void> {
    const where = parseWsAddress(address.toString());
    if (where === undefined)
      throw new AspenError('INVALID_PARAMS', `${address} is no address of a WebSocket`);
    const server = this.#create(where);
    this.#server = server;
    const listening = Promise.withResolvers<void>();
    server.once('error', listening.reject);
    const { host, port, family } = where;
    server.listen({ host, port, ipv6Only: family === 6 }, listening.resolve);
    await listening.promise;
    server.off('error', listening.reject);
    server.on('error', (detail) => this.safeDispatchEvent('error', { detail }));
    const thin = `/${family === 6 ? 'ip6' : 'ip4'}/${host}/tcp/${port}`;
    this.#listening = { address: multiaddr(thin), isTls: where.isTls };
    this.safeDispatchEvent('listening');
  }

  getAddrs(): Multiaddr[] {
    const bound = this.#server?.address() as AddressInfo | null | undefined;
    const listening = this.#listening;
    if (bound === null || bound === undefined || listening === undefined) return [];
    return getThinWaistAddresses(listening.address, bound.port).map((thin) => withWay(thin, listening.isTls));
  }

  updateAnnounceAddrs(): void {
    return; // nothing about them changes while they are listened on
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined || !server.listening) return;
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    for (const arrival of this.#arrivals.values()) arrival.abort.abort(new Error('the listener closes'));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.safeDispatchEvent('close');
  }

  #create({ isTls }: WsAddress): HttpServer {
    const bounds = {
      maxHeaderSize: REQUEST_BYTES_LIMIT,
      headersTimeout: HANDSHAKE_MS,
      requestTimeout: HANDSHAKE_MS,
      noDelay: true,
    };
    const server = isTls
      ? createHttps({ ...bounds, ...this.#secrets() }, refuse)
      : createHttp(bounds, refuse);
    server.maxHeadersCount = REQUEST_HEADERS_LIMIT;
    this.#components.door.guard(server);
    server.on('connection', (socket: Socket) => this.#arrive(socket));
    server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      try {
        this.#upgrade(request, { socket, head, isTls });
      } catch (error) {
        this.#components.logger.forComponent('aspen:websocket').error('no upgrade - %e', error);
        socket.destroy();
      }
    });
    return server;
  }

  #secrets(): ServerOptions {
    const { certificate, key } = this.#components.tls();
    return {
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
    };
  }

  #arrive(socket: Socket): void {
    if (socket.destroyed) return; // the door has turned it away
    const at = farEndOf(socket);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      this.#arrivals.delete(at);
      abort.abort(new Error('the handshake took too long'));
    }, this.#components.handshakeMs ?? HANDSHAKE_MS);
    this.#arrivals.set(at, { socket, abort, timer });
    this.#sockets.add(socket);
    abort.signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#leave(at, socket);
    });
  }

  /** From here on it is watched by others, or gone. */
  #leave(at: string, socket: Socket): void {
    const arrival = this.#arrivals.get(at);
    if (arrival?.socket !== socket) return;
    clearTimeout(arrival.timer);
    this.#arrivals.delete(at);
  }

  #upgrade(
    { headers, method, socket: asked }: IncomingMessage,
    { socket, head, isTls }: { readonly socket: Socket; readonly head: Buffer; readonly isTls: boolean },
  ): void {
    socket.on('error', () => socket.destroy()); // whoever uses it then hears that it has ended
    const arrival = this.#arrivals.get(farEndOf(asked));
    const key = headers['sec-websocket-key'];
    const isWell =
      method === 'GET' &&
      headers.upgrade?.toLowerCase() === 'websocket' &&
      headers['sec-websocket-version'] === '13' &&
      typeof key === 'string' &&
      KEY.test(key);
    if (!isWell || arrival === undefined || head.length > REQUEST_BYTES_LIMIT) {
      refuseUpgrade(socket, '400 Bad Request');
      return;
    }
    const remote = this.#remoteOf(asked, headers['x-forwarded-for'], isTls);
    if (remote === undefined) {
      refuseUpgrade(socket, '503 Service Unavailable');
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
    );
    if (head.length > 0) socket.unshift(head);
    this.#welcome(socket, arrival, remote);
  }

  /** @returns undefined when the one that a web server speaks for has no place. */
  #remoteOf(asked: Socket, forwarded: string | string[] | undefined, isTls: boolean): Multiaddr | undefined {
    const { remoteAddress = '', remotePort = 0 } = asked;
    const { door, isForwardedTrusted = false } = this.#components;
    const own = ipPortToMultiaddr(remoteAddress, remotePort);
    const host = isForwardedTrusted && !isTls ? forwardedHost(remoteAddress, forwarded) : undefined;
    if (host === undefined || isIP(host) === 0) return withWay(own, isTls);
    const spokenFor = ipPortToMultiaddr(host, remotePort);
    const giveBack = door.move(own.toString(), spokenFor.toString());
    if (giveBack === undefined) return undefined;
    asked.once('close', giveBack);
    return withWay(spokenFor, isTls);
  }

  #welcome(socket: Socket, arrival: Arrival, remoteAddress: Multiaddr): void {
    const { logger, upgrader } = this.#components;
    const log = logger.forComponent('aspen:websocket');
    const wire = webSocketConnection({ socket, remoteAddress, direction: 'inbound', log });
    upgrader
      .upgradeInbound(wire, { signal: arrival.abort.signal })
      .then(() => this.#leave(farEndOf(arrival.socket), arrival.socket))
      .catch((error: Error) => wire.abort(error));
  }
}

function refuseUpgrade(socket: Socket, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Web browsers, probes and whoever else comes by. */
function refuse(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { upgrade: 'websocket', connection: 'close', 'content-length': 0 });
  response.end();
}

function farEndOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function withWay(thin: Multiaddr, isTls: boolean): Multiaddr {
  return thin.encapsulate(isTls ? '/tls/ws' : '/ws');
}
