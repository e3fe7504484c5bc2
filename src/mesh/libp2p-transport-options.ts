import type { Clock, Crypto, Logger, MeshId, Random } from '../base/index.ts';
import type { Identity } from './identity.ts';
import type { TlsIdentity } from './libp2p-ws-listener.ts';
import type { ProxySettings } from './proxy-rules.ts';
import type { Gate } from './transport.ts';

export interface Libp2pTransportComponents {
  readonly identity: Identity;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly log: Logger;
}

export interface Libp2pTransportOptions {
  /** The mesh whose protocols are spoken. */
  readonly meshId: MeshId;
  /** Multiaddrs; port 0 takes any. @default every interface, IPv4 and IPv6 */
  readonly listen?: readonly string[];
  /** Where the ports of earlier starts are remembered. @default nowhere: an open port is another one each time */
  readonly ports?: ListenPorts;
  /** What is told to others instead of the addresses of the interfaces. */
  readonly announce?: readonly string[];
  /** How WebSockets outside are reached. @default directly */
  readonly proxies?: Pick<ProxySettings, 'proxy' | 'direct'>;
  /** What is shown to whoever comes by WebSocket over TLS. @default a certificate that is made at the start and that nobody vouches for */
  readonly tls?: TlsIdentity;
  /** Whether a web server on this machine is believed whom it speaks for (`X-Forwarded-For`). @default false */
  readonly isForwardedTrusted?: boolean;
  /** Whether holes are made by QUIC as well, where its library is there. @default auto */
  readonly quic?: 'auto' | 'off';
  /** Pause between pings on a channel that is used; on an idle one it grows to 20 times that. Unit: ms. @default 1_000 */
  readonly keepaliveMs?: number;
  /** A channel whose peer answers nothing for this long is closed. Unit: ms. @default 5_000 */
  readonly deadAfterMs?: number;
  /** Most bytes waiting for one peer, per priority. @default 16 MiB */
  readonly queueBytesLimit?: number;
  /** How long dialing may take, until the channel is open. Unit: ms. @default 8_000 */
  readonly dialTimeoutMs?: number;
}

/** Takes the same ports again, so that the addresses which others remember still hold. */
export interface ListenPorts {
  /** @returns the multiaddrs with open ports filled in where that is possible. */
  recall(listen: readonly string[]): Promise<readonly string[]>;
  remember(addresses: readonly string[]): Promise<void>;
}
