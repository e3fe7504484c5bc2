import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AspenError, type Logger } from '../base/index.ts';

const HOST = '127.0.0.1';
const CONNECTIONS_LIMIT = 16;
const HEADERS_MS = 2_000;
const REQUEST_MS = 10_000;
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** Names under which a program on this machine asks; a page in a browser that was led here by DNS asks under its own. */
const OWN_HOSTS = /^(127\.0\.0\.1|localhost)(:\d+)?$/i;

/**
 * `/metrics` for Prometheus, on loopback alone, when the owner has set a port.
 *
 * - O3 Whoever asks may read numbers, and nothing else: one path, no parameters, no body, few connections, short times.
 */
export class OsMetricsHttp implements AsyncDisposable {
  readonly #server: Server;
  readonly #log: Logger;

  constructor({ text, log }: { readonly text: () => Promise<string>; readonly log: Logger }) {
    this.#log = log;
    this.#server = createServer((request, response) => {
      answer(request, response, text).catch((err: unknown) => {
        log.warn({ err }, 'metrics could not be told');
        response.destroy();
      });
    });
    this.#server.maxConnections = CONNECTIONS_LIMIT;
    this.#server.headersTimeout = HEADERS_MS;
    this.#server.requestTimeout = REQUEST_MS;
    this.#server.keepAliveTimeout = REQUEST_MS;
  }

  /** @returns the port. @throws AspenError UNAVAILABLE naming it. */
  listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(
          new AspenError('UNAVAILABLE', `metricsPort: cannot listen on ${HOST}:${port}: ${cause.message}`, {
            cause,
          }),
        ),
      );
      this.#server.listen({ host: HOST, port }, () => {
        const address = this.#server.address();
        const taken = typeof address === 'object' && address !== null ? address.port : port;
        this.#log.info({ url: `http://${HOST}:${taken}/metrics` }, 'metrics are told');
        resolve(taken);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function answer(
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
  text: () => Promise<string>,
): Promise<void> {
  if (!OWN_HOSTS.test(headers.host ?? '')) return void response.writeHead(403).end();
  if (url !== '/metrics') return void response.writeHead(404).end();
  if (method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end();
  const body = await text().catch((error: unknown) => {
    if (error instanceof AspenError && error.code === 'UNAVAILABLE') return undefined; // it changes its mesh at this moment
    throw error;
  });
  if (body === undefined) response.writeHead(503).end();
  else response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(body);
}
