import { request } from 'node:http';
import { AspenError } from '../../base/index.ts';
import type { GatewayHttp } from './upnp-client.ts';
import { UPNP_BYTES_LIMIT } from './upnp-messages.ts';

/** HTTP of this machine, one connection for each request. */
export class OsGatewayHttp implements GatewayHttp {
  send(
    { url, method, headers = {}, body = '' }: Parameters<GatewayHttp['send']>[0],
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const bytes = Buffer.from(body, 'utf8');
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const fail = (cause: Error) =>
      reject(
        new AspenError('UNAVAILABLE', `no answer from ${url}: ${cause.message}`, {
          cause,
          outcome: 'unknown',
        }),
      );
    const length = method === 'POST' ? { 'content-length': bytes.length } : {};
    const asking = request(
      url,
      { method, headers: { ...headers, ...length }, signal, agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        let received = 0;
        answer.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (received > UPNP_BYTES_LIMIT) answer.destroy(new Error(`more than ${UPNP_BYTES_LIMIT} bytes`));
          else chunks.push(chunk);
        });
        answer.on('error', fail);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    asking.on('error', fail);
    asking.end(bytes);
    return promise;
  }
}
