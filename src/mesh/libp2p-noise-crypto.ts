import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import type { PrivateKey } from '@libp2p/interface';

interface Bytes {
  subarray(): Uint8Array;
}

/** As the library has it: in bytes. */
interface KeyPair {
  readonly publicKey: Bytes;
  readonly privateKey: Bytes;
}

/** What the library computes a handshake with; private there. */
export interface HandshakeCrypto {
  generateKeypair: () => KeyPair;
  dh: (own: KeyPair, theirs: Bytes) => Uint8Array;
  hkdf: (chainingKey: Uint8Array, secret: Uint8Array) => readonly [Uint8Array, Uint8Array, Uint8Array];
}

const HASH_BYTES = 32;

/**
 * The same results for less: the library has Node parse each key anew for each step, in the form that takes it longest, and derives keys in
 * JavaScript. A handshake that begins well and goes on badly took its answerer 1.4 ms of processor time so, and takes it 0.5 ms here (Node 24, a
 * machine that was busy).
 */
export function quickHandshakeCrypto(): HandshakeCrypto {
  const own = new WeakMap<object, KeyObject>();
  const theirs = new WeakMap<object, KeyObject>();
  return {
    generateKeypair: () => {
      const key = generateKeyPairSync('x25519').privateKey;
      const { d = '', x = '' } = key.export({ format: 'jwk' });
      const pair = { publicKey: Buffer.from(x, 'base64url'), privateKey: Buffer.from(d, 'base64url') };
      own.set(pair, key);
      return pair;
    },
    dh: (pair, point) => {
      const privateKey = kept(own, pair, () => privateKeyOf(pair));
      const publicKey = kept(theirs, point, () => publicKeyOf(point));
      return diffieHellman({ privateKey, publicKey });
    },
    hkdf: (chainingKey, secret) => {
      const keys = new Uint8Array(hkdfSync('sha256', secret, chainingKey, '', 3 * HASH_BYTES));
      return [
        keys.subarray(0, HASH_BYTES),
        keys.subarray(HASH_BYTES, 2 * HASH_BYTES),
        keys.subarray(2 * HASH_BYTES),
      ];
    },
  };
}

/** Each handshake signs the same key with the same key, and a signature by Ed25519 is always the same: it is made once. */
export function signingOnce(key: PrivateKey): PrivateKey {
  let last: { readonly message: Uint8Array; readonly signature: ReturnType<PrivateKey['sign']> } | undefined;
  const sign: PrivateKey['sign'] = (message, options) => {
    const bytes = message.subarray();
    if (last !== undefined && Buffer.compare(last.message, bytes) === 0) return last.signature;
    const signature = key.sign(message, options);
    last = { message: Uint8Array.from(bytes), signature };
    return signature;
  };
  return Object.create(key, { sign: { value: sign } }) as PrivateKey;
}

function kept(keys: WeakMap<object, KeyObject>, of: object, make: () => KeyObject): KeyObject {
  const known = keys.get(of);
  if (known !== undefined) return known;
  const made = make();
  keys.set(of, made);
  return made;
}

function privateKeyOf({ publicKey, privateKey }: KeyPair): KeyObject {
  const key = { kty: 'OKP', crv: 'X25519', d: textOf(privateKey), x: textOf(publicKey) };
  return createPrivateKey({ key, format: 'jwk' });
}

function publicKeyOf(point: Bytes): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: textOf(point) }, format: 'jwk' });
}

function textOf(bytes: Bytes): string {
  const { buffer, byteOffset, byteLength } = bytes.subarray();
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64url');
}
