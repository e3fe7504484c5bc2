import { base58btc } from 'multiformats/bases/base58';
import { AspenError, type Crypto, type PeerId } from '../base/index.ts';

/** A node's key and the names that follow from it. */
export interface Identity {
  readonly peerId: PeerId;
  /** The secret: 32 bytes that never leave this machine. */
  readonly seed: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** X25519, 32 bytes: what others seal to, e.g. the mesh's root key for a voter. */
  readonly sealingKey: Uint8Array;
}

/** Multihash `identity` of 36 bytes: a libp2p public key protobuf of type Ed25519 with 32 bytes of key. Source: libp2p peer id spec. */
const ED25519_PEER_ID_HEADER = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const KEY_BYTES = 32;
const LONGEST_PEER_ID = 60;

/** @param seed 32 secret bytes. */
export function createIdentity(crypto: Crypto, seed: Uint8Array): Identity {
  const publicKey = crypto.signingPublicKey(seed);
  return { peerId: peerIdOf(publicKey), seed, publicKey, sealingKey: crypto.sealingPublicKey(seed) };
}

/** @param publicKey Ed25519, 32 bytes. @returns the same text as libp2p gives: `12D3KooW...`. */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  const multihash = new Uint8Array(ED25519_PEER_ID_HEADER.length + KEY_BYTES);
  multihash.set(ED25519_PEER_ID_HEADER);
  multihash.set(publicKey, ED25519_PEER_ID_HEADER.length);
  return base58btc.baseEncode(multihash) as PeerId;
}

/** @returns the Ed25519 public key, 32 bytes. @throws AspenError INVALID_PARAMS when the text is not the peer id of an Ed25519 key. */
export function publicKeyOf(peerId: string): Uint8Array {
  const multihash = decodeBase58(peerId);
  const isEd25519 =
    multihash?.length === ED25519_PEER_ID_HEADER.length + KEY_BYTES &&
    ED25519_PEER_ID_HEADER.every((byte, at) => multihash[at] === byte);
  if (!isEd25519) {
    throw new AspenError(
      'INVALID_PARAMS',
      `"${peerId.slice(0, LONGEST_PEER_ID)}" is not a peer id (12D3KooW...)`,
    );
  }
  return multihash.slice(ED25519_PEER_ID_HEADER.length);
}

export function isPeerId(text: unknown): text is PeerId {
  if (typeof text !== 'string') return false;
  try {
    publicKeyOf(text);
    return true;
  } catch (error) {
    if (error instanceof AspenError) return false;
    throw error;
  }
}

function decodeBase58(text: string): Uint8Array | undefined {
  if (text.length > LONGEST_PEER_ID) return undefined;
  try {
    return base58btc.baseDecode(text);
  } catch {
    return undefined; // not base 58: the caller says so in its own words
  }
}
