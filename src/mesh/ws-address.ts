/** Where a WebSocket is, as a multiaddr says it. */
export interface WsAddress {
  /** An IP address or a name. */
  readonly host: string;
  readonly port: number;
  /** Which addresses of a name count; of an IP address, its own family; 0 for either. */
  readonly family: 0 | 4 | 6;
  readonly isTls: boolean;
  /** What is asked for in the TLS handshake, where it is another name than {@link host}. */
  readonly serverName?: string;
}

const FAMILIES: Readonly<Record<string, WsAddress['family']>> = { ip4: 4, ip6: 6, dns: 0, dns4: 4, dns6: 6 };
const SECURE = /^(?:wss|tls(?:\/sni\/([^/]+))?\/ws)$/;
const PORT = /^\d{1,5}$/;
/** Names and addresses come from others, and go into what is said to proxies and web servers: nothing else may. */
const HOST = /^[A-Za-z0-9._:-]{1,253}$/;

/**
 * @param address e.g. `/dns4/relay.example.org/tcp/443/tls/ws`; the older `/wss` means the same; a peer id may follow.
 * @returns undefined for any other address, a circuit over a WebSocket too.
 */
export function parseWsAddress(address: string): WsAddress | undefined {
  const [empty, kind = '', host = '', tcp, port = '', ...rest] = address.split('/');
  const family = FAMILIES[kind];
  if (empty !== '' || family === undefined || !HOST.test(host) || tcp !== 'tcp' || !PORT.test(port))
    return undefined;
  const way = rest.join('/').replace(/\/p2p\/[^/]+$/, '');
  const secure = SECURE.exec(way);
  if ((way !== 'ws' && secure === null) || Number(port) > 65_535) return undefined;
  const serverName = secure?.[1];
  if (serverName !== undefined && !HOST.test(serverName)) return undefined;
  return {
    ...{ host, port: Number(port), family, isTls: secure !== null },
    ...(serverName !== undefined && { serverName }),
  };
}

/** @returns whether an address leads over a WebSocket to the peer itself. */
export function isWebSocket(address: string): boolean {
  return parseWsAddress(address) !== undefined;
}
