import { AspenError } from '../base/index.ts';
import { type BlobId, isBlobId } from './blob-id.ts';
import { BLOB_BYTES_LIMIT, ChunkSet, chunkCountOf } from './chunks.ts';

/** What members ask each other. Bodies are foreign and read by the functions below. */
export const METHODS = {
  /** `[id]` → `[sizeBytes, chunks]`, chunks being `true` (all) or a set's bytes; null: nothing of it is here. */
  have: 'blobs/have',
  /** `[id]` → the encoded manifest; null as above. */
  manifest: 'blobs/manifest',
  /** `[id, index]` → the chunk; null: it is not here. */
  chunk: 'blobs/chunk',
  /** `[id, jobId | null, keptForMs?]` → true when the whole of it is durable there. */
  keep: 'blobs/keep',
} as const;

const JOB_ID_LIMIT = 128;

export interface Holding {
  readonly sizeBytes: number;
  readonly chunks: ChunkSet;
}

export function writeHolding({ sizeBytes, chunks }: Holding): unknown {
  return [sizeBytes, chunks.isFull ? true : chunks.toBytes()];
}

/** @returns null where the peer has nothing of it. @throws AspenError INVALID_REQUEST */
export function readHolding(body: unknown): Holding | null {
  if (body === null) return null;
  const [sizeBytes, bits] = Array.isArray(body) ? (body as readonly unknown[]) : [];
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes)) throw malformed(METHODS.have);
  if (sizeBytes < 0 || sizeBytes > BLOB_BYTES_LIMIT) throw malformed(METHODS.have);
  const count = chunkCountOf(sizeBytes);
  if (bits === true) return { sizeBytes, chunks: ChunkSet.full(count) };
  const chunks = bits instanceof Uint8Array ? ChunkSet.fromBytes(bits, count) : undefined;
  if (chunks === undefined) throw malformed(METHODS.have);
  return { sizeBytes, chunks };
}

/** @throws AspenError INVALID_PARAMS */
export function readId(body: unknown): BlobId {
  const [id] = Array.isArray(body) ? (body as readonly unknown[]) : [];
  if (!isBlobId(id)) throw new AspenError('INVALID_PARAMS', 'a blob is asked for by its id');
  return id;
}

/** @throws AspenError INVALID_PARAMS */
export function readChunkAsk(body: unknown): { readonly id: BlobId; readonly index: number } {
  const id = readId(body);
  const index = (body as readonly unknown[])[1];
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0)
    throw new AspenError('INVALID_PARAMS', 'a chunk is asked for by its number');
  return { id, index };
}

/** What a member wants kept for it. */
export interface KeepAsk {
  readonly id: BlobId;
  readonly jobId: string | null;
  /** For how long the job needs it at most; undefined as long as the job is on record. Unit: ms. */
  readonly keptForMs: number | undefined;
}

/** @throws AspenError INVALID_PARAMS */
export function readKeepAsk(body: unknown): KeepAsk {
  const id = readId(body);
  const [, jobId = null, keptForMs] = body as readonly unknown[];
  if (jobId !== null && (typeof jobId !== 'string' || jobId.length === 0 || jobId.length > JOB_ID_LIMIT))
    throw new AspenError('INVALID_PARAMS', 'the id of a job is a short text');
  if (keptForMs === undefined) return { id, jobId, keptForMs };
  if (typeof keptForMs !== 'number' || !Number.isSafeInteger(keptForMs) || keptForMs < 0)
    throw new AspenError('INVALID_PARAMS', 'a blob is kept for a number of ms');
  return { id, jobId, keptForMs };
}

export function malformed(method: string): AspenError {
  return new AspenError('INVALID_REQUEST', `a peer answered ${method} with something else`);
}
