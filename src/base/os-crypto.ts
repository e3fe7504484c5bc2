import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  hkdfSync,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import type { Crypto } from './crypto.ts';

// A raw 32-byte key is wrapped in these fixed DER headers (RFC 8410) for node:crypto.
const ED25519_PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519_PUBLIC = Buffer.from('302a300506032b6570032100', 'hex');
const X25519_PRIVATE = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_PUBLIC = Buffer.from('302a300506032b656e032100', 'hex');

const KEY_BYTES = 32;
const NONCE = Buffer.alloc(12); // each box has its own ephemeral key, so a fixed nonce is never used twice under one key
const TAG_BYTES = 16;
const KEY_CACHE_LIMIT = 4_096;

/** node:crypto, synchronous throughout. Imported key objects are cached: parsing one costs more than a signature. */
export class OsCrypto implements Crypto {
  readonly #keys = new Map<string, KeyObject>();

  sha256(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(hash('sha256', bytes, 'buffer'));
  }

  signingPublicKey(seed: Uint8Array): Uint8Array {
    return rawPublicKey(createPublicKey(this.#private(ED25519_PRIVATE, seed)));
  }

  sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#private(ED25519_PRIVATE, seed)));
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== KEY_BYTES || signature.length !== 64) return false;
    return verify(null, message, this.#public(ED25519_PUBLIC, publicKey), signature);
  }

  sealingPublicKey(seed: Uint8Array): Uint8Array {
    return rawPublicKey(createPublicKey(this.#private(X25519_PRIVATE, sealingSeed(seed))));
  }

  seal(recipientPublicKey: Uint8Array, plain: Uint8Array, ephemeralSeed: Uint8Array): Uint8Array {
    const ephemeral = this.#private(X25519_PRIVATE, sealingSeed(ephemeralSeed));
    const ephemeralPublic = rawPublicKey(createPublicKey(ephemeral));
    const shared = diffieHellman({
      privateKey: ephemeral,
      publicKey: this.#public(X25519_PUBLIC, recipientPublicKey),
    });
    const cipher = createCipheriv(
      'chacha20-poly1305',
      boxKey(shared, ephemeralPublic, recipientPublicKey),
      NONCE,
      {
        authTagLength: TAG_BYTES,
      },
    );
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return new Uint8Array(Buffer.concat([ephemeralPublic, body, cipher.getAuthTag()]));
  }

  open(seed: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < KEY_BYTES + TAG_BYTES) return undefined;
    const own = this.#private(X25519_PRIVATE, sealingSeed(seed));
    const ephemeralPublic = sealed.subarray(0, KEY_BYTES);
    try {
      const shared = diffieHellman({
        privateKey: own,
        publicKey: this.#public(X25519_PUBLIC, ephemeralPublic),
      });
      const key = boxKey(shared, ephemeralPublic, rawPublicKey(createPublicKey(own)));
      const decipher = createDecipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      return new Uint8Array(
        Buffer.concat([
          decipher.update(sealed.subarray(KEY_BYTES, sealed.length - TAG_BYTES)),
          decipher.final(),
        ]),
      );
    } catch {
      return undefined; // not for us, or changed on the way: the caller only needs to know that it does not open
    }
  }

  equal(left: Uint8Array, right: Uint8Array): boolean {
    return left.length === right.length && timingSafeEqual(left, right);
  }

  #private(header: Buffer, seed: Uint8Array): KeyObject {
    return createPrivateKey({ key: Buffer.concat([header, seed]), format: 'der', type: 'pkcs8' });
  }

  #public(header: Buffer, raw: Uint8Array): KeyObject {
    const name = header.toString('latin1') + Buffer.from(raw).toString('latin1');
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = createPublicKey({ key: Buffer.concat([header, raw]), format: 'der', type: 'spki' });
    if (this.#keys.size >= KEY_CACHE_LIMIT) this.#keys.clear();
    this.#keys.set(name, key);
    return key;
  }
}

/** One identity seed serves two purposes; each gets a key of its own. */
function sealingSeed(seed: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, '', 'aspen sealing key v1', KEY_BYTES));
}

function boxKey(shared: Uint8Array, ephemeralPublic: Uint8Array, recipientPublic: Uint8Array): Uint8Array {
  return new Uint8Array(
    hkdfSync('sha256', shared, Buffer.concat([ephemeralPublic, recipientPublic]), 'aspen box v1', KEY_BYTES),
  );
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES));
}
