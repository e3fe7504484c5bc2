import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AspenError } from '../base/index.ts';
import type { AddressPolicy } from './address-rules.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client.ts';

/** Of all headers of an answer together. */
const HEADERS_BYTES_LIMIT = 64 * 2 ** 10;

/** @returns every address of a name. */
export type Resolve = (host: string, options: LookupOptions) => Promise<LookupAddress[]>;

const resolveBySystem: Resolve = (host, options) => lookup(host, { ...options, all: true });

/** node:http and node:https. Each request has a connection of its own, so that each address was checked for its request. */
export class OsHttpClient implements HttpClient {
  readonly #resolve: Resolve;

  /** @param resolve finds the addresses of a name. */
  constructor(resolve: Resolve = resolveBySystem) {
    this.#resolve = resolve;
  }

  async exchange(request: HttpRequest, policy: AddressPolicy): Promise<HttpResponse> {
    const { url, method, headers, body, signal } = request;
    signal.throwIfAborted();
    const host = bareHost(url);
    if (isIP(host) !== 0 && !policy.isAllowed(host)) throw refused(url, host);
    const isSecure = url.protocol === 'https:';
    const agent = isSecure ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
    const send = isSecure ? requestHttps : requestHttp;
    const answered = Promise.withResolvers<IncomingMessage>();
    const sent = send(url, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-length': `${body.sizeBytes}` }) },
      agent,
      signal,
      lookup: checkedLookup(this.#resolve, { url, policy }),
      maxHeaderSize: HEADERS_BYTES_LIMIT,
    });
    sent.on('socket', (socket) => watchConnection(socket, { url, policy }));
    sent.on('response', answered.resolve);
    sent.on('error', answered.reject);
    sent.on('close', () => agent.destroy());
    if (body === undefined) sent.end();
    else pipeline(Readable.from(body.pieces), sent).catch(answered.reject);
    try {
      return responseOf(await answered.promise, request);
    } catch (error) {
      sent.destroy();
      throw told(error, request);
    }
  }
}

/** W2 What is not allowed is not among the answers, so that nothing later can choose it. */
function checkedLookup(
  resolve: Resolve,
  { url, policy }: { readonly url: URL; readonly policy: AddressPolicy },
): LookupFunction {
  return (host, options, callback) => {
    resolve(host, options).then(
      (found) => {
        const allowed = found.filter(({ address }) => policy.isAllowed(address));
        const [first] = allowed;
        if (first === undefined) callback(refused(url, found[0]?.address ?? host), '', 0);
        else if (options.all === true) callback(null, allowed);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
}

/** W2 Looked at once more where it counts: at the connection itself. */
function watchConnection(
  socket: Socket,
  { url, policy }: { readonly url: URL; readonly policy: AddressPolicy },
): void {
  const check = () => {
    const { remoteAddress } = socket;
    if (remoteAddress !== undefined && !policy.isAllowed(remoteAddress))
      socket.destroy(refused(url, remoteAddress));
  };
  if (socket.connecting) socket.once('connect', check);
  else check();
}

function responseOf(message: IncomingMessage, request: HttpRequest): HttpResponse {
  return {
    status: message.statusCode ?? 0,
    headers: Object.fromEntries(
      Object.entries(message.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
      ),
    ),
    body: piecesOf(message, request),
    discard: () => void message.destroy(),
  };
}

async function* piecesOf(message: IncomingMessage, request: HttpRequest): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of message) yield piece as Uint8Array;
  } catch (error) {
    throw told(error, request);
  }
}

/** @returns the failure as the caller knows it. */
function told(error: unknown, { url, signal }: HttpRequest): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof AspenError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === undefined || message.includes(code) ? message : `${message} (${code})`;
  return new AspenError('UNAVAILABLE', `${url.host}: ${why}`, { cause: error });
}

function refused(url: URL, address: string): AspenError {
  return new AspenError(
    'DENIED',
    `${url.host} is at ${address}, which is not a public address; the owner of the node allows networks by httpAllow`,
  );
}

/** IPv6 addresses stand in brackets in a URL. */
function bareHost({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
