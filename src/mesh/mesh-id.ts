import { base32 } from 'multiformats/bases/base32';
import type { Crypto, MeshId } from '../base/index.ts';

const LABEL = new TextEncoder().encode('aspen mesh v1');
/** 120 bits: nobody finds a second root key with the same mesh id; 24 characters fit a DNS label. */
const MESH_ID_BYTES = 15;
const MESH_ID = /^[a-z2-7]{24}$/;

/** @param rootPublicKey Ed25519, 32 bytes. @returns 24 lower-case base 32 characters. */
export function meshIdOf(crypto: Crypto, rootPublicKey: Uint8Array): MeshId {
  const labelled = new Uint8Array(LABEL.length + rootPublicKey.length);
  labelled.set(LABEL);
  labelled.set(rootPublicKey, LABEL.length);
  return base32.baseEncode(crypto.sha256(labelled).subarray(0, MESH_ID_BYTES)) as MeshId;
}

export function isMeshId(text: unknown): text is MeshId {
  return typeof text === 'string' && MESH_ID.test(text);
}
