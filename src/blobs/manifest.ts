import { AspenError, type Crypto, decodeForeign, encode } from '../base/index.ts';
import { type BlobId, cidOf, DAG_PB_CODEC, DIGEST_BYTES, RAW_CODEC } from './blob-id.ts';
import { BLOB_BYTES_LIMIT, chunkBytesOf, chunkCountOf } from './chunks.ts';
import { encodeFileNode, LINKS_LIMIT, type TreeLink } from './unixfs.ts';

/** What a blob consists of: its length, and the sha-256 of each chunk, one behind the other. */
export interface Manifest {
  readonly sizeBytes: number;
  readonly digests: Uint8Array;
}

/** What a file or a frame that holds a manifest may have at most, framing included. */
const FRAMING_BYTES = 64;

/**
 * The id of a blob: the root of the balanced UnixFS tree over its chunks, so that other tools come to the same name
 * (`ipfs add --cid-version 1 --raw-leaves --chunker size-262144`).
 */
export function blobIdOf(crypto: Crypto, manifest: Manifest): BlobId {
  const { sizeBytes, digests } = manifest;
  let layer: TreeLink[] = [];
  for (let index = 0; index < chunkCountOf(sizeBytes); index += 1) {
    const bytes = chunkBytesOf(sizeBytes, index);
    layer.push({ cid: cidOf(RAW_CODEC, digestAt(digests, index)), fileBytes: bytes, treeBytes: bytes });
  }
  while (layer.length > 1) layer = parentsOf(crypto, layer);
  return (layer[0] as TreeLink).cid.toString() as BlobId;
}

/** @returns the sha-256 that a chunk must have. */
export function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}

/** @returns whether the bytes are this chunk of the blob. */
export function isChunk(crypto: Crypto, manifest: Manifest, index: number, bytes: Uint8Array): boolean {
  return (
    bytes.length === chunkBytesOf(manifest.sizeBytes, index) &&
    crypto.equal(crypto.sha256(bytes), digestAt(manifest.digests, index))
  );
}

export function encodeManifest({ sizeBytes, digests }: Manifest): Uint8Array {
  return encode([sizeBytes, digests]);
}

/**
 * Reads what a peer or a disk says the manifest of a blob is.
 * @throws AspenError INVALID_REQUEST when it is none, or not the one of this blob: whoever gave it lies, or is damaged.
 */
export function readManifest(crypto: Crypto, id: BlobId, bytes: Uint8Array): Manifest {
  const manifest = decodeManifest(bytes);
  if (manifest === undefined || blobIdOf(crypto, manifest) !== id)
    throw new AspenError('INVALID_REQUEST', `the ${bytes.length} bytes are not the manifest of ${id}`);
  return manifest;
}

function decodeManifest(bytes: Uint8Array): Manifest | undefined {
  if (bytes.length > chunkCountOf(BLOB_BYTES_LIMIT) * DIGEST_BYTES + FRAMING_BYTES) return undefined;
  const parts = decodeForeign(bytes);
  const [sizeBytes, digests] = Array.isArray(parts) && parts.length === 2 ? parts : [];
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > BLOB_BYTES_LIMIT) return undefined;
  if (!(digests instanceof Uint8Array)) return undefined;
  if (digests.length !== chunkCountOf(sizeBytes) * DIGEST_BYTES) return undefined;
  return { sizeBytes, digests: new Uint8Array(digests) };
}

function parentsOf(crypto: Crypto, layer: readonly TreeLink[]): TreeLink[] {
  const parents: TreeLink[] = [];
  for (let at = 0; at < layer.length; at += LINKS_LIMIT) {
    const links = layer.slice(at, at + LINKS_LIMIT);
    const node = encodeFileNode(links);
    parents.push({
      cid: cidOf(DAG_PB_CODEC, crypto.sha256(node)),
      fileBytes: links.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
      treeBytes: links.reduce((sum, { treeBytes }) => sum + treeBytes, node.length),
    });
  }
  return parents;
}
