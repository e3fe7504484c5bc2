import { OsCrypto } from '../../../src/base/os-crypto.ts';

const REMEMBERED_LIMIT = 20_000;
const remembered = new Map<string, unknown>();

/**
 * The real cryptography, which gives the same for the same bytes, and so is asked once: what one member signs, every other checks, and in a
 * world all of them live in one process.
 */
export class SimCrypto extends OsCrypto {
  override signingPublicKey(seed: Uint8Array): Uint8Array {
    return new Uint8Array(once('signing', [seed], () => super.signingPublicKey(seed)));
  }

  override sealingPublicKey(seed: Uint8Array): Uint8Array {
    return new Uint8Array(once('sealing', [seed], () => super.sealingPublicKey(seed)));
  }

  override sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
    return new Uint8Array(once('sign', [seed, message], () => super.sign(seed, message)));
  }

  override verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return once('verify', [publicKey, signature, message], () => super.verify(publicKey, message, signature));
  }
}

function once<T>(what: string, bytes: readonly Uint8Array[], compute: () => T): T {
  const parts = bytes.map((part) => `${part.length}:${latin1(part)}`);
  const key = `${what} ${parts.join('')}`;
  const known = remembered.get(key);
  if (known !== undefined) return known as T;
  const result = compute();
  if (remembered.size >= REMEMBERED_LIMIT) remembered.clear();
  remembered.set(key, result);
  return result;
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length).toString('latin1');
}
