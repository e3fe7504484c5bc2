import { z } from 'zod';
import { decodeOrUndefined, encode } from '../base/index.ts';
import { BLOB_BYTES_LIMIT, ChunkSet, chunkCountOf } from './chunks.ts';

/** Jobs by which one blob may be held at one node; more keep it as the newest of them do. */
export const REFERENCES_LIMIT = 1_024;

/** Something that needs the blob: a job by its id. */
export interface BlobReference {
  readonly jobId: string;
  readonly sinceMs: number;
  /** It is given up then, though the job may still be on record; null: it is not. */
  readonly untilMs: number | null;
}

/** What a node keeps of a blob beside its bytes and its manifest. Times are wall time. */
export interface BlobState {
  readonly sizeBytes: number;
  readonly addedAtMs: number;
  readonly usedAtMs: number;
  /** Kept until somebody unpins it. */
  readonly isPinned: boolean;
  /** `added`: somebody gave it to this node; `fetched`: a copy of what others hold. */
  readonly origin: 'added' | 'fetched';
  /** For people; where a file was added, what it is called. */
  readonly name: string | null;
  readonly references: readonly BlobReference[];
  /** The chunks that are on this disk. */
  readonly chunks: ChunkSet;
}

export const BLOB_NAME_LIMIT = 255;

const wholeSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const stateSchema = z.object({
  version: z.literal(1),
  sizeBytes: wholeSchema.max(BLOB_BYTES_LIMIT),
  addedAtMs: wholeSchema,
  usedAtMs: wholeSchema,
  isPinned: z.boolean(),
  origin: z.enum(['added', 'fetched']),
  name: z.string().max(BLOB_NAME_LIMIT).nullable(),
  references: z.array(z.tuple([z.string().max(128), wholeSchema]).rest(wholeSchema)).max(REFERENCES_LIMIT),
  chunks: z.union([z.literal('all'), z.instanceof(Uint8Array)]),
});

export function encodeState({ chunks, references, ...state }: BlobState): Uint8Array {
  return encode({
    version: 1,
    ...state,
    references: references.map(({ jobId, sinceMs, untilMs }) =>
      untilMs === null ? [jobId, sinceMs] : [jobId, sinceMs, untilMs],
    ),
    chunks: chunks.isFull ? 'all' : chunks.toBytes(),
  });
}

/** @returns undefined when the bytes are no state. */
export function decodeState(bytes: Uint8Array): BlobState | undefined {
  const read = stateSchema.safeParse(decodeOrUndefined(bytes)).data;
  if (read === undefined) return undefined;
  const { version: _, chunks: kept, references, ...state } = read;
  const count = chunkCountOf(state.sizeBytes);
  const chunks = kept === 'all' ? ChunkSet.full(count) : ChunkSet.fromBytes(kept, count);
  if (chunks === undefined) return undefined;
  const named = references.map(([jobId, sinceMs, untilMs = null]) => ({ jobId, sinceMs, untilMs }));
  return { ...state, references: named, chunks };
}
