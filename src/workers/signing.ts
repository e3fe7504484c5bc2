import type { Crypto } from '../base/index.ts';

/** The block of SHA-256. Unit: bytes. */
const BLOCK_BYTES = 64;
const INNER = 0x36;
const OUTER = 0x5c;

/** @returns HMAC-SHA256, 32 bytes. Source: RFC 2104. */
export function hmacSha256(crypto: Pick<Crypto, 'sha256'>, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? crypto.sha256(key) : key);
  const padded = (pad: number, rest: Uint8Array) => Buffer.concat([block.map((byte) => byte ^ pad), rest]);
  return crypto.sha256(padded(OUTER, crypto.sha256(padded(INNER, message))));
}

/**
 * What shows a receiver that a body comes from who knows the secret, and when it was sent, so that a copy of it is worth nothing later.
 * @param wallMs the instant it is sent. @returns the value of the header: `t=<ms since 1970>,v1=<hex of HMAC-SHA256 over "<t>.<body>">`.
 */
export function signatureOf(
  crypto: Pick<Crypto, 'sha256'>,
  { key, body, wallMs }: { readonly key: Uint8Array; readonly body: string; readonly wallMs: number },
): string {
  const digest = hmacSha256(crypto, key, new TextEncoder().encode(`${wallMs}.${body}`));
  return `t=${wallMs},v1=${Buffer.from(digest).toString('hex')}`;
}
