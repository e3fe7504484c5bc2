import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AspenError } from '../base/index.ts';
import { type HttpHead, HttpHeadReader } from './http-head.ts';
import { authorityOf, type HttpProxy } from './proxy-rules.ts';

/** Where a socket leads. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Of a name, which of its addresses count; 0 for either. @default 0 */
  readonly family?: 0 | 4 | 6;
}

export interface TlsOptions {
  /** A name that is asked for; an IP address is not. */
  readonly host: string;
  /** Whether the certificate has to hold for the name. */
  readonly isVerified: boolean;
}

/** @throws what the system says; the signal's reason when it aborts first. */
export async function openTcp({ host, port, family = 0 }: Place, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connectTcp({ host, port, family, noDelay: true });
  return await settled(socket, 'connect', signal);
}

/** TLS on a socket. @throws what the handshake ends with; the signal's reason. */
export async function openTls(
  socket: Socket,
  { host, isVerified }: TlsOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const secure = connectTls({
    socket,
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    rejectUnauthorized: isVerified,
    ALPNProtocols: ['http/1.1'],
  });
  return await settled(secure, 'secureConnect', signal);
}

/**
 * Asks a proxy to connect to a place.
 * @throws AspenError UNAVAILABLE that names the proxy and what it answered; the signal's reason when it aborts first.
 */
export async function openThrough(proxy: HttpProxy, place: Place, signal: AbortSignal): Promise<Socket> {
  const at = authorityOf(proxy.host, proxy.port);
  const target = authorityOf(place.host, place.port);
  let socket: Socket | undefined;
  try {
    socket = await openTcp(proxy, signal);
    if (proxy.isTls) socket = await openTls(socket, { host: proxy.host, isVerified: true }, signal);
    socket.write(connectRequest(target, proxy.authorization));
    const { status, reason, rest } = await readHead(socket, signal);
    if (status < 200 || status >= 300)
      throw refused(`refused CONNECT to ${target}: ${status} ${reason}`.trim());
    if (rest.length > 0) throw refused(`sends what nobody has asked for before the connection to ${target}`);
    return socket;
  } catch (error) {
    socket?.destroy();
    if (signal.aborted)
      throw new ProxyError(`the proxy at ${at} did not let through to ${target} in time`, signal.reason);
    const why = error instanceof Refusal ? error.message : `cannot be used: ${messageOf(error)}`;
    throw new ProxyError(`the proxy at ${at} ${why}`, error);
  }
}

/** What failed is the proxy, or that it does not let through. */
export class ProxyError extends AspenError {
  constructor(message: string, cause: unknown) {
    super('UNAVAILABLE', message, { cause, outcome: 'not-applied', details: { reason: 'proxy' } });
  }
}

class Refusal extends Error {}

function refused(message: string): Refusal {
  return new Refusal(message);
}

function connectRequest(target: string, authorization: string | undefined): string {
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
  if (authorization !== undefined) lines.push(`Proxy-Authorization: ${authorization}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** @throws AspenError INVALID_REQUEST for what is no HTTP; an error when the socket ends before; the signal's reason. */
export function readHead(socket: Socket, signal: AbortSignal): Promise<HttpHead> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpHead>();
  const reader = new HttpHeadReader();
  const onData = (chunk: Buffer) => {
    try {
      const head = reader.push(chunk);
      if (head === undefined) return;
      socket.pause();
      resolve(head);
    } catch (error) {
      reject(error);
    }
  };
  const onEnd = () => reject(new Error('it closed the connection without an answer'));
  const onAbort = () => reject(signal.reason);
  socket.on('data', onData).once('end', onEnd).once('close', onEnd).once('error', reject);
  signal.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', reject);
    signal.removeEventListener('abort', onAbort);
  });
}

/** Resolves with the socket once the event has come; it is destroyed otherwise, and whenever it fails later while nobody else listens. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const onEvent = () => resolve(socket);
  const onError = (error: Error) => {
    reject(error);
    socket.destroy();
  };
  const onClose = () => reject(new Error('the connection was closed'));
  const onAbort = () => {
    reject(signal.reason);
    socket.destroy();
  };
  socket.once(event, onEvent).on('error', onError).once('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    socket.off(event, onEvent).off('close', onClose);
    signal.removeEventListener('abort', onAbort);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
