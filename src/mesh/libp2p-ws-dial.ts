import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { AspenError } from '../base/index.ts';
import { openTcp, openThrough, openTls, readHead } from './libp2p-proxy-connect.ts';
import { authorityOf, type ProxySettings, proxyFor } from './proxy-rules.ts';
import type { WsAddress } from './ws-address.ts';

/** What a web server before a member may know our requests by; members take any. */
export const WS_PATH = '/aspen';
const KEY_BYTES = 16;
/** By the standard: RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * Opens a WebSocket, through a proxy where the settings say so. Whose certificate is shown on the way means nothing: who answers proves
 * itself by the handshake that comes after, inside.
 *
 * @returns a socket that carries frames from now on.
 * @throws AspenError UNAVAILABLE that names the proxy or what answered; what the system says; the signal's reason.
 */
export async function openWebSocket(
  address: WsAddress,
  proxies: Pick<ProxySettings, 'proxy' | 'direct'>,
  signal: AbortSignal,
): Promise<Socket> {
  const proxy = proxyFor(proxies, address);
  let socket =
    proxy === undefined ? await openTcp(address, signal) : await openThrough(proxy, address, signal);
  try {
    if (address.isTls)
      socket = await openTls(socket, { host: address.serverName ?? address.host, isVerified: false }, signal);
    await upgrade(socket, address, signal);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function upgrade(socket: Socket, { host, port, isTls }: WsAddress, signal: AbortSignal): Promise<void> {
  const key = randomBytes(KEY_BYTES).toString('base64');
  const authority =
    port === (isTls ? 443 : 80) ? authorityOf(host, port).replace(/:\d+$/, '') : authorityOf(host, port);
  socket.write(
    [
      `GET ${WS_PATH} HTTP/1.1`,
      `Host: ${authority}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
      'User-Agent: aspen',
      '\r\n',
    ].join('\r\n'),
  );
  const { status, reason, headers, rest } = await readHead(socket, signal);
  const isUpgraded = status === 101 && headers.get('upgrade')?.toLowerCase() === 'websocket';
  if (!isUpgraded || headers.get('sec-websocket-accept') !== acceptOf(key)) {
    const answer = isUpgraded
      ? 'something that is no answer to what was asked'
      : `${status} ${reason}`.trim();
    throw new AspenError(
      'UNAVAILABLE',
      `${authorityOf(host, port)} answers ${answer}: there is no WebSocket`,
      {
        outcome: 'not-applied',
      },
    );
  }
  if (rest.length > 0) socket.unshift(rest);
}

/** @returns what shows that a request for a WebSocket was understood. */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64');
}
