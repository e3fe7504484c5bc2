import { AspenError, type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import { peerIdOf, publicKeyOf } from './identity.ts';
import { foreignRecord, isBytes, isWallMs, type StatementField, statementBytes } from './statement.ts';

/**
 * The mesh's word that its root key was replaced. The first root key, from which the mesh id was derived, has number 0.
 *
 * It proves little by itself: whoever was revoked still knows `fromKey`. What makes it count are {@link Vouch}es (R1 in `root-book.ts`).
 */
export interface Succession {
  readonly meshId: MeshId;
  /** Of the new key, from 1. */
  readonly number: number;
  /** Ed25519, 32 bytes each. */
  readonly fromKey: Uint8Array;
  readonly toKey: Uint8Array;
  /** Digest and length of the list of certificates that stay valid. */
  readonly listDigest: Uint8Array;
  readonly listCount: number;
  /** Why: keepers of the old key that were revoked. */
  readonly revoked: readonly PeerId[];
  /** Who votes from now on, as far as members must know to believe the next one. */
  readonly voters: readonly PeerId[];
  /** Whose word for this statement is passed on; the voters among them. */
  readonly vouchers: readonly PeerId[];
  /** Wall time of the signer; for people. */
  readonly issuedAtMs: number;
  /** By the old key, and by the new one, so that nobody names a key that is not his; 64 bytes each. */
  readonly fromSignature: Uint8Array;
  readonly toSignature: Uint8Array;
}

export type SuccessionFacts = Omit<Succession, 'fromKey' | 'toKey' | 'fromSignature' | 'toSignature'>;

/** A member's word that the group has agreed to a succession, or that it was convinced of it. */
export interface Vouch {
  readonly peerId: PeerId;
  /** By the member's own key, 64 bytes. */
  readonly signature: Uint8Array;
}

const LABEL = 'aspen root succession v1';
const VOUCH_LABEL = 'aspen root vouch v1';
export const SUCCESSION_BYTES_LIMIT = 2_048;
export const SUCCESSION_VOTERS_LIMIT = 7;
export const SUCCESSION_REVOKED_LIMIT = 7;
export const SUCCESSION_VOUCHERS_LIMIT = 16;
/** A mesh that replaces its root key every day for years stays below. */
export const SUCCESSIONS_LIMIT = 1_000;

/** @param seeds the old and the new root key, 32 secret bytes each. */
export function signSuccession(
  { crypto, fromSeed, toSeed }: { crypto: Crypto; fromSeed: Uint8Array; toSeed: Uint8Array },
  facts: SuccessionFacts,
): Succession {
  const fromKey = crypto.signingPublicKey(fromSeed);
  const toKey = crypto.signingPublicKey(toSeed);
  const signed = statementBytes(LABEL, fieldsOf({ ...facts, fromKey, toKey }));
  const fromSignature = crypto.sign(fromSeed, signed);
  return { ...facts, fromKey, toKey, fromSignature, toSignature: crypto.sign(toSeed, signed) };
}

/** @returns at most {@link SUCCESSION_BYTES_LIMIT} bytes; peers as 32-byte keys. */
export function encodeSuccession(succession: Succession): Uint8Array {
  const { revoked, voters, vouchers, ...rest } = succession;
  return encode({
    ...rest,
    revoked: revoked.map(publicKeyOf),
    voters: voters.map(publicKeyOf),
    vouchers: vouchers.map(publicKeyOf),
  });
}

/** @returns 32 bytes that name the statement. */
export function successionDigest(crypto: Crypto, succession: Succession): Uint8Array {
  return crypto.sha256(statementBytes(LABEL, fieldsOf(succession)));
}

export function signVouch(
  crypto: Crypto,
  { peerId, seed }: { readonly peerId: PeerId; readonly seed: Uint8Array },
  succession: Succession,
): Vouch {
  return { peerId, signature: crypto.sign(seed, vouchBytes(crypto, succession)) };
}

/** @returns whether the peer named has signed it, and its word is asked for. */
export function isVouchFor(crypto: Crypto, succession: Succession, { peerId, signature }: Vouch): boolean {
  return (
    succession.vouchers.includes(peerId) &&
    crypto.verify(publicKeyOf(peerId), vouchBytes(crypto, succession), signature)
  );
}

/** @returns whether both keys signed it: that it follows upon `fromKey`, not that it is the one that the group agreed to. */
export function isSigned(crypto: Crypto, succession: Succession): boolean {
  const signed = statementBytes(LABEL, fieldsOf(succession));
  return (
    crypto.verify(succession.fromKey, signed, succession.fromSignature) &&
    crypto.verify(succession.toKey, signed, succession.toSignature)
  );
}

function vouchBytes(crypto: Crypto, succession: Succession): Uint8Array {
  const { meshId, number } = succession;
  return statementBytes(VOUCH_LABEL, [meshId, number, successionDigest(crypto, succession)]);
}

function fieldsOf(succession: Omit<Succession, 'fromSignature' | 'toSignature'>): StatementField[] {
  const { meshId, number, fromKey, toKey, listDigest, listCount, issuedAtMs } = succession;
  const { revoked, voters, vouchers } = succession;
  const peers = [revoked, voters, vouchers].map((list) => list.join(' '));
  return [meshId, number, fromKey, toKey, listDigest, listCount, ...peers, issuedAtMs];
}

/**
 * @param foreign encoded bytes.
 * @returns the statement as it claims to be; nothing is proven yet.
 * @throws AspenError DENIED when it is malformed.
 */
export function decodeSuccession(foreign: unknown): Succession {
  const read = readSuccession(foreignRecord(foreign, SUCCESSION_BYTES_LIMIT) ?? {});
  if (read === undefined) throw new AspenError('DENIED', 'the succession of the root key is malformed');
  return read;
}

function readSuccession(record: Readonly<Record<string, unknown>>): Succession | undefined {
  const { meshId, number, fromKey, toKey, listDigest, listCount, issuedAtMs } = record;
  const { fromSignature, toSignature } = record;
  const revoked = readPeers(record['revoked'], SUCCESSION_REVOKED_LIMIT);
  const voters = readPeers(record['voters'], SUCCESSION_VOTERS_LIMIT);
  const vouchers = readPeers(record['vouchers'], SUCCESSION_VOUCHERS_LIMIT);
  if (typeof meshId !== 'string' || !isCount(number) || !isCount(listCount) || !isWallMs(issuedAtMs))
    return undefined;
  if (number < 1 || number > SUCCESSIONS_LIMIT) return undefined;
  if (!isBytes(fromKey, 32) || !isBytes(toKey, 32) || !isBytes(listDigest, 32)) return undefined;
  if (!isBytes(fromSignature, 64) || !isBytes(toSignature, 64)) return undefined;
  if (revoked === undefined || voters === undefined || vouchers === undefined) return undefined;
  const keys = { fromKey, toKey, listDigest, fromSignature, toSignature };
  return { meshId: meshId as MeshId, number, listCount, issuedAtMs, ...keys, revoked, voters, vouchers };
}

/** @returns undefined unless they are 32-byte keys, each once, at most `limit`. */
function readPeers(value: unknown, limit: number): readonly PeerId[] | undefined {
  if (!Array.isArray(value) || value.length > limit) return undefined;
  if (!value.every((key): key is Uint8Array => isBytes(key, 32))) return undefined;
  const peers = value.map(peerIdOf);
  return new Set(peers).size === peers.length ? peers : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** @returns undefined unless it is a list of peers and signatures within the limit. */
export function readVouches(value: unknown): readonly Vouch[] | undefined {
  if (!Array.isArray(value) || value.length > SUCCESSION_VOUCHERS_LIMIT) return undefined;
  const vouches: Vouch[] = [];
  for (const item of value as unknown[]) {
    const [key, signature] = Array.isArray(item) ? (item as unknown[]) : [];
    if (!isBytes(key, 32) || !isBytes(signature, 64)) return undefined;
    vouches.push({ peerId: peerIdOf(key), signature });
  }
  return vouches;
}

export function vouchesToWire(vouches: readonly Vouch[]): unknown {
  return vouches.map(({ peerId, signature }) => [publicKeyOf(peerId), signature]);
}
