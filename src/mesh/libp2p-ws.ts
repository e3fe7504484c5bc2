import {
  type ComponentLogger,
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  serviceCapabilities,
  type Transport,
  transportSymbol,
} from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AspenError } from '../base/index.ts';
import type { Door } from './libp2p-door.ts';
import { webSocketConnection } from './libp2p-ws-connection.ts';
import { openWebSocket } from './libp2p-ws-dial.ts';
import { type TlsIdentity, WsListener } from './libp2p-ws-listener.ts';
import type { ProxySettings } from './proxy-rules.ts';
import { isWebSocket, parseWsAddress } from './ws-address.ts';

export interface WebSocketsOptions {
  readonly door: Door;
  /** How places outside are reached. */
  readonly proxies: Pick<ProxySettings, 'proxy' | 'direct'>;
  /** Whether a web server on this machine is believed whom it speaks for. @default false */
  readonly isForwardedTrusted?: boolean;
  /** Asked for when TLS is listened for. */
  readonly tls: () => TlsIdentity;
}

/**
 * libp2p over WebSockets. Its own package for that has no way to stop a peer that sends faster than it is read, takes messages of any size,
 * waits for the first byte of a connection for ever, and dials with what Node has for web pages, which takes no proxy and refuses
 * certificates of nobody's making.
 */
class WebSockets implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = 'aspen-websockets';
  readonly [serviceCapabilities]: string[] = ['@libp2p/transport'];
  readonly #logger: ComponentLogger;
  readonly #options: WebSocketsOptions;

  constructor(logger: ComponentLogger, options: WebSocketsOptions) {
    this.#logger = logger;
    this.#options = options;
  }

  async dial(target: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const address = parseWsAddress(target.toString());
    if (address === undefined)
      throw new AspenError('INVALID_PARAMS', `${target} is no address of a WebSocket`);
    const { upgrader, signal } = options;
    const socket = await openWebSocket(address, this.#options.proxies, signal);
    const wire = webSocketConnection({
      socket,
      remoteAddress: target,
      direction: 'outbound',
      log: this.#logger.forComponent('aspen:websocket'),
    });
    try {
      return await upgrader.upgradeOutbound(wire, options);
    } catch (error) {
      wire.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  createListener({ upgrader }: CreateListenerOptions): Listener {
    return new WsListener({ ...this.#options, upgrader, logger: this.#logger });
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => isWebSocket(address.toString()));
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return this.listenFilter(addresses);
  }
}

export function webSockets(
  options: WebSocketsOptions,
): (components: { readonly logger: ComponentLogger }) => Transport {
  return ({ logger }) => new WebSockets(logger, options);
}
