import { AspenError, isWebUrl } from '../base/index.ts';

/** What of a request a redirect may change. */
export interface Hop {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasBody: boolean;
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** Not shown to another origin than the one they were meant for. */
const CREDENTIALS: readonly string[] = ['authorization', 'cookie', 'proxy-authorization'];
const OF_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-language', 'content-length'];

/**
 * Where an answer sends the request on to.
 * @returns undefined where it does not.
 * @throws AspenError INVALID_REQUEST where it names no place that can be asked.
 * Source: RFC 9110, section 15.4. After 303, and after 301 and 302 to a POST, the next request is a GET without a body.
 */
export function nextHop(
  { status, headers }: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  hop: Hop,
): Hop | undefined {
  const { location } = headers;
  if (!REDIRECTS.includes(status) || location === undefined) return undefined;
  const url = resolved(location, hop.url);
  const isGet = status === 303 ? hop.method !== 'HEAD' : status <= 302 && hop.method === 'POST';
  const dropped = [...(url.origin === hop.url.origin ? [] : CREDENTIALS), ...(isGet ? OF_BODY : [])];
  return {
    method: isGet ? 'GET' : hop.method,
    url,
    headers: Object.fromEntries(Object.entries(hop.headers).filter(([name]) => !dropped.includes(name))),
    hasBody: hop.hasBody && !isGet,
  };
}

function resolved(location: string, base: URL): URL {
  if (URL.canParse(location, base.href)) {
    const url = new URL(location, base);
    if (isWebUrl(url.href)) return url;
  }
  throw new AspenError('INVALID_REQUEST', `${base.host} redirects to what is no http:// or https:// URL`);
}

/** Longest pause that a receiver is granted. Unit: ms. */
const RETRY_AFTER_MOST_MS = 60 * 60_000;

/**
 * @param text the header `retry-after`: seconds, or a date. @returns the pause it asks for; undefined where it says nothing that can be read.
 */
export function retryAfterMs(text: string | undefined, wallMs: number): number | undefined {
  if (text === undefined) return undefined;
  const asked = /^\s*\d{1,9}\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - wallMs;
  return Number.isFinite(asked) ? Math.min(RETRY_AFTER_MOST_MS, Math.max(0, asked)) : undefined;
}
