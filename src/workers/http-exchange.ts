import { AspenError } from '../base/index.ts';
import type { AddressPolicy } from './address-rules.ts';
import type { BodySource } from './http-body.ts';
import type { HttpClient, HttpResponse } from './http-client.ts';
import { type Hop, nextHop } from './redirects.ts';

export interface ExchangeComponents {
  readonly client: HttpClient;
  readonly policy: AddressPolicy;
}

export interface Exchange {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: BodySource | undefined;
  readonly maxRedirects: number;
  readonly signal: AbortSignal;
}

/** The last answer, and how it was come by. */
export interface Answer {
  readonly response: HttpResponse;
  readonly url: URL;
  readonly redirectCount: number;
}

/** W3 Follows redirects, each a request of its own under the same policy, so that no answer leads where the payload could not. */
export async function exchange(
  { client, policy }: ExchangeComponents,
  { body, maxRedirects, signal, ...first }: Exchange,
): Promise<Answer> {
  let hop: Hop = { ...first, hasBody: body !== undefined };
  for (let redirectCount = 0; ; redirectCount += 1) {
    const { hasBody, ...request } = hop;
    const sent = { ...request, signal, ...(hasBody && body !== undefined && { body: body.open() }) };
    const response = await client.exchange(sent, policy);
    const next = maxRedirects === 0 ? undefined : nextHop(response, hop);
    if (next === undefined) return { response, url: hop.url, redirectCount };
    response.discard();
    if (redirectCount === maxRedirects)
      throw new AspenError('INVALID_REQUEST', `${first.url.host} redirects more than ${maxRedirects} times`);
    hop = next;
  }
}
