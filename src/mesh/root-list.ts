import type { Crypto, PeerId } from '../base/index.ts';
import { peerIdOf, publicKeyOf } from './identity.ts';
import { isBytes } from './statement.ts';

/**
 * The certificates that stay valid when a mesh's root key is replaced: one per member, in the order of public keys.
 *
 * - R6 The digest binds every entry and how many there are; whoever holds one entry and its path needs nothing else to prove it.
 */
export interface RootListEntry {
  readonly peerId: PeerId;
  /** SHA-256 of the encoded certificate, 32 bytes. */
  readonly certificateHash: Uint8Array;
}

/** What proves that one entry is in a list, without the list. */
export interface RootListProof {
  readonly index: number;
  /** From the leaf's neighbour up, 32 bytes each. */
  readonly path: readonly Uint8Array[];
}

const HASH_BYTES = 32;
const ENTRY_BYTES = 64;
export const ROOT_LIST_ENTRIES_LIMIT = 20_000;
export const ROOT_LIST_BYTES_LIMIT = ROOT_LIST_ENTRIES_LIMIT * ENTRY_BYTES;
/** 2^16 is more than {@link ROOT_LIST_ENTRIES_LIMIT}. */
export const ROOT_PROOF_LIMIT = 16;

/** @returns 64 bytes per entry: public key and hash. */
export function encodeRootList(entries: readonly RootListEntry[]): Uint8Array {
  const rows = entries.map(({ peerId, certificateHash }) =>
    Buffer.concat([publicKeyOf(peerId), certificateHash]),
  );
  return new Uint8Array(Buffer.concat(rows.sort(Buffer.compare)));
}

/** @returns undefined when the bytes are no list: not whole, out of order, a peer twice, or over the limit. */
export function decodeRootList(bytes: Uint8Array): readonly RootListEntry[] | undefined {
  if (bytes.length % ENTRY_BYTES !== 0 || bytes.length > ROOT_LIST_BYTES_LIMIT) return undefined;
  const entries: RootListEntry[] = [];
  let last: Uint8Array | undefined;
  for (const row of rowsOf(bytes)) {
    const key = row.subarray(0, HASH_BYTES);
    if (last !== undefined && Buffer.compare(last, key) >= 0) return undefined;
    entries.push({ peerId: peerIdOf(key), certificateHash: row.slice(HASH_BYTES) });
    last = key;
  }
  return entries;
}

/** @param bytes as {@link encodeRootList} gives them. @returns 32 bytes: the top of a tree of hashes. */
export function rootListDigest(crypto: Crypto, bytes: Uint8Array): Uint8Array {
  return levelsOf(crypto, bytes).at(-1)?.[0] ?? leafOf(crypto, new Uint8Array(0));
}

/** @returns undefined when the peer is not on the list. */
export function proveOnRootList(
  crypto: Crypto,
  bytes: Uint8Array,
  peerId: PeerId,
): RootListProof | undefined {
  const key = publicKeyOf(peerId);
  const index = rowsOf(bytes).findIndex((row) => Buffer.compare(row.subarray(0, HASH_BYTES), key) === 0);
  if (index < 0) return undefined;
  const path: Uint8Array[] = [];
  let at = index;
  for (const level of levelsOf(crypto, bytes).slice(0, -1)) {
    path.push(level[at % 2 === 0 ? at + 1 : at - 1] ?? (level[at] as Uint8Array));
    at = Math.floor(at / 2);
  }
  return { index, path };
}

/** @returns whether `entry` is on the list of `digest`, which has `count` entries (R6). */
export function isOnRootList(
  crypto: Crypto,
  { digest, count }: { readonly digest: Uint8Array; readonly count: number },
  entry: RootListEntry,
  { index, path }: RootListProof,
): boolean {
  if (index >= count || path.length !== depthOf(count)) return false;
  let hash = leafOf(crypto, Buffer.concat([publicKeyOf(entry.peerId), entry.certificateHash]));
  let at = index;
  for (const neighbour of path) {
    hash = at % 2 === 0 ? nodeOf(crypto, hash, neighbour) : nodeOf(crypto, neighbour, hash);
    at = Math.floor(at / 2);
  }
  return crypto.equal(hash, digest);
}

/** @returns undefined when a foreign value is no proof. */
export function readProof(value: unknown): RootListProof | undefined {
  const [index, path] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!Number.isSafeInteger(index) || (index as number) < 0) return undefined;
  if (!Array.isArray(path) || path.length > ROOT_PROOF_LIMIT) return undefined;
  if (!path.every((hash): hash is Uint8Array => isBytes(hash, HASH_BYTES))) return undefined;
  return { index: index as number, path };
}

export function proofToWire(proof: RootListProof | undefined): unknown {
  return proof === undefined ? null : [proof.index, proof.path];
}

function depthOf(count: number): number {
  let depth = 0;
  for (let width = count; width > 1; width = Math.ceil(width / 2)) depth += 1;
  return depth;
}

/** From the leaves to the top; the last of an odd level is paired with itself. */
function levelsOf(crypto: Crypto, bytes: Uint8Array): Uint8Array[][] {
  const levels = [rowsOf(bytes).map((row) => leafOf(crypto, row))];
  for (let level = levels[0] as Uint8Array[]; level.length > 1; ) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const left = level[at] as Uint8Array;
      above.push(nodeOf(crypto, left, level[at + 1] ?? left));
    }
    levels.push(above);
    level = above;
  }
  return levels;
}

function rowsOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / ENTRY_BYTES) }, (_, at) =>
    bytes.subarray(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES),
  );
}

/** Leaves and nodes are hashed under different first bytes, so that neither passes for the other. */
function leafOf(crypto: Crypto, row: Uint8Array): Uint8Array {
  return crypto.sha256(Buffer.concat([Uint8Array.of(0), row]));
}

function nodeOf(crypto: Crypto, left: Uint8Array, right: Uint8Array): Uint8Array {
  return crypto.sha256(Buffer.concat([Uint8Array.of(1), left, right]));
}
