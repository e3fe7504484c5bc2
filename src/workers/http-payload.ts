import { z } from 'zod';
import { isWebUrl } from '../base/index.ts';
import { blobIdSchema, payloadCheck } from './payload-check.ts';

/** Longest exchange, redirects included, when the payload does not say. Unit: ms. */
const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_TIMEOUT_MS = 60 * 60_000;
/** What stays of a body in the result when the payload does not say. Unit: bytes. */
const DEFAULT_INLINE_BYTES = 64 * 2 ** 10;
/** Results have a limit of their own, in base64 too. Unit: bytes. */
const MOST_INLINE_BYTES = 512 * 2 ** 10;
/** Longest body that is read when the payload does not say. Unit: bytes. */
const DEFAULT_BODY_BYTES = 64 * 2 ** 20;
const MOST_BODY_BYTES = 2 ** 30;
const DEFAULT_REDIRECTS = 5;
const MOST_REDIRECTS = 20;
const HEADERS_LIMIT = 100;
/** Statuses and classes of statuses that one payload may name. */
const STATUSES_LIMIT = 64;

/** Worth another try: the receiver was busy, or out of order. */
export const RETRYABLE_STATUSES: readonly (number | string)[] = [408, 425, 429, '5xx'];

/** RFC 9110: the characters of a token. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Written by the worker itself, or about the connection and not the request. */
const FORBIDDEN_HEADERS = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'expect',
  'te',
  'trailer',
];

const headerName = z
  .string()
  .max(128)
  .regex(TOKEN, 'is no name of a header')
  .refine(
    (name) => !FORBIDDEN_HEADERS.includes(name.toLowerCase()),
    'is a header that the worker sets itself',
  );
const headerValue = z.string().max(8_192).refine(isHeaderValue, 'has characters that no header may have');

const status = z.union([
  z.int().min(100).max(599),
  z.string().regex(/^[1-5]xx$/, 'must be a status such as 429, or a class such as "5xx"'),
]);
const statuses = z.array(status).max(STATUSES_LIMIT);

const url = z.string().max(8_192).refine(isWebUrl, 'must be an http:// or https:// URL without a user name');

const schema = z
  .strictObject({
    url,
    method: z
      .string()
      .max(32)
      .regex(TOKEN, 'is no method of HTTP')
      .transform((method) => method.toUpperCase())
      .refine((method) => method !== 'CONNECT', 'CONNECT makes tunnels, which are not offered')
      .default('GET'),
    headers: z
      .record(headerName, headerValue)
      .refine((headers) => Object.keys(headers).length <= HEADERS_LIMIT, `at most ${HEADERS_LIMIT} headers`)
      .default({}),
    body: z.string().optional(),
    json: z.unknown().optional(),
    bodyBase64: z.base64('must be base64').optional(),
    bodyBlob: blobIdSchema.optional(),
    timeoutMs: z.int().min(1).max(LONGEST_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
    maxRedirects: z.int().min(0).max(MOST_REDIRECTS).default(DEFAULT_REDIRECTS),
    maxInlineBytes: z.int().min(0).max(MOST_INLINE_BYTES).default(DEFAULT_INLINE_BYTES),
    maxBodyBytes: z.int().min(0).max(MOST_BODY_BYTES).default(DEFAULT_BODY_BYTES),
    okStatuses: statuses.min(1).default(['2xx']),
    retryStatuses: statuses.default([...RETRYABLE_STATUSES]),
  })
  .superRefine((payload, context) => {
    const given = BODIES.filter((name) => payload[name] !== undefined);
    for (const name of given.slice(1))
      context.addIssue({
        code: 'custom',
        path: [name],
        message: `is given beside ${given[0]}; give one body`,
      });
    if (given.length > 0 && ['GET', 'HEAD', 'TRACE'].includes(payload.method))
      context.addIssue({
        code: 'custom',
        path: [given[0] as string],
        message: `a ${payload.method} request has no body`,
      });
  });

const BODIES = ['body', 'json', 'bodyBase64', 'bodyBlob'] as const;

/** The payload of a job of type `http`, with its defaults filled in. */
export type HttpPayload = z.output<typeof schema>;

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export const parseHttpPayload = payloadCheck('http', schema);

/** Whether a status is one of those, or of a class of those. */
export function isStatusIn(list: readonly (number | string)[], code: number): boolean {
  return list.includes(code) || list.includes(`${Math.floor(code / 100)}xx`);
}

/** RFC 9110, section 5.5: what is visible, spaces, tabs and opaque bytes. */
function isHeaderValue(value: string): boolean {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}
