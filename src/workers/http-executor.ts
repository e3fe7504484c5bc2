import { type Clock, withDeadline } from '../base/index.ts';
import { type Blobs, parseBlobId } from '../blobs/index.ts';
import type { AttemptContext, ExecutionResult, Executor } from '../jobs/index.ts';
import type { AddressPolicy } from './address-rules.ts';
import { attempted } from './failures.ts';
import { type BodySource, blobPieces, bytesSource, type ReadBody, readBody, shownBody } from './http-body.ts';
import type { HttpClient } from './http-client.ts';
import { type Answer, exchange } from './http-exchange.ts';
import { type HttpPayload, isStatusIn, parseHttpPayload } from './http-payload.ts';
import { retryAfterMs } from './redirects.ts';

/** The result of an `http` job, kept on failure too. */
export type HttpResult = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  readonly redirects: number;
  readonly bodyBytes: number;
  /** There was more than `maxBodyBytes`. */
  readonly truncated: boolean;
  /** The whole body, where `body` is only its head. */
  readonly bodyBlob?: { readonly id: string; readonly sizeBytes: number };
  readonly durationMs: number;
} & ({ readonly body: string } | { readonly bodyBase64: string });

export interface HttpComponents {
  readonly client: HttpClient;
  readonly policy: AddressPolicy;
  readonly blobs: Pick<Blobs, 'store' | 'ensure' | 'read'>;
  readonly clock: Clock;
}

const DEFAULT_HEADERS = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'aspen-agent' };

/** Makes one request of HTTP, and keeps what was answered. */
export class HttpExecutor implements Executor {
  readonly type = 'http';
  readonly #components: HttpComponents;

  constructor(components: HttpComponents) {
    this.#components = components;
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    return attempted(attempt, parseHttpPayload, (payload) => this.#request(attempt, payload));
  }

  /** What was begun is over when it resolves, also where time was up before. */
  async #request({ jobId, signal }: AttemptContext, payload: HttpPayload): Promise<ExecutionResult> {
    const { clock } = this.#components;
    const { timeoutMs, method, url } = payload;
    const what = `${method} ${new URL(url).host}`;
    let work: Promise<unknown> = Promise.resolve();
    const begin = (until: AbortSignal) => {
      const running = this.#answerTo(payload, { jobId, signal: until });
      work = running;
      return running;
    };
    try {
      return await withDeadline({ clock, timeoutMs, what, signal }, begin);
    } finally {
      await Promise.allSettled([work]);
    }
  }

  async #answerTo(
    payload: HttpPayload,
    { jobId, signal }: { readonly jobId: string; readonly signal: AbortSignal },
  ): Promise<ExecutionResult> {
    const { clock, blobs } = this.#components;
    const startMs = clock.monotonicMs();
    const body = await this.#bodyOf(payload, { jobId, signal });
    const answer = await exchange(this.#components, {
      method: payload.method,
      url: new URL(payload.url),
      headers: headersOf(payload),
      body,
      maxRedirects: payload.maxRedirects,
      signal,
    });
    try {
      const limits = { inlineBytes: payload.maxInlineBytes, bodyBytes: payload.maxBodyBytes, jobId };
      const read = await readBody(answer.response.body, blobs.store, limits);
      const result = resultOf(answer, read, Math.round(clock.monotonicMs() - startMs));
      return verdict(payload, result, clock.wallMs());
    } finally {
      answer.response.discard();
    }
  }

  async #bodyOf(
    { body, json, bodyBase64, bodyBlob }: HttpPayload,
    { jobId, signal }: { readonly jobId: string; readonly signal: AbortSignal },
  ): Promise<BodySource | undefined> {
    if (body !== undefined) return bytesSource(new TextEncoder().encode(body));
    if (json !== undefined) return bytesSource(new TextEncoder().encode(JSON.stringify(json)));
    if (bodyBase64 !== undefined) return bytesSource(new Uint8Array(Buffer.from(bodyBase64, 'base64')));
    if (bodyBlob === undefined) return undefined;
    const { blobs } = this.#components;
    const id = parseBlobId(bodyBlob);
    const { sizeBytes } = await blobs.ensure(id, { jobId, signal });
    return { open: () => ({ sizeBytes, pieces: blobPieces(blobs, id, signal) }) };
  }
}

function headersOf({ headers, body, json }: HttpPayload): Readonly<Record<string, string>> {
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    ...DEFAULT_HEADERS,
    ...(body !== undefined && { 'content-type': 'text/plain; charset=utf-8' }),
    ...(json !== undefined && { 'content-type': 'application/json' }),
    ...Object.fromEntries(given),
  };
}

function resultOf({ response, url, redirectCount }: Answer, read: ReadBody, durationMs: number): HttpResult {
  const { blob, bodyBytes, isTruncated } = read;
  return {
    status: response.status,
    headers: response.headers,
    url: url.href,
    redirects: redirectCount,
    ...shownBody(read),
    bodyBytes,
    truncated: isTruncated,
    ...(blob !== undefined && { bodyBlob: { id: blob.id, sizeBytes: blob.sizeBytes } }),
    durationMs,
  };
}

/** W4 The status decides: done, worth another try (after the pause that the receiver asked for), or over at once. */
function verdict(payload: HttpPayload, result: HttpResult, wallMs: number): ExecutionResult {
  const { status, headers } = result;
  if (isStatusIn(payload.okStatuses, status)) return { ok: true, result };
  const retryable = isStatusIn(payload.retryStatuses, status);
  const pauseMs = retryable ? retryAfterMs(headers['retry-after'], wallMs) : undefined;
  const { host, pathname } = new URL(result.url);
  const message = `${payload.method} ${host}${pathname} was answered with ${status}`.slice(0, 1_024);
  const error = {
    code: 'HTTP_STATUS',
    message,
    retryable,
    ...(pauseMs !== undefined && { retryAfterMs: pauseMs }),
  };
  return { ok: false, error, result };
}
