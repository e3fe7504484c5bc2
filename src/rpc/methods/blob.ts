import { z } from 'zod';
import {
  cursorSchema,
  durationMsSchema,
  exactObject,
  method,
  mutating,
  pageLimitSchema,
  peerIdSchema,
} from './schema.ts';

/** Bytes of one piece on the socket; in base64 they fit a line with room to spare. */
export const BLOB_PIECE_BYTES_LIMIT = 8 * 2 ** 20;
const PIECE_CHARACTERS_LIMIT = Math.ceil(BLOB_PIECE_BYTES_LIMIT / 3) * 4;

const blobIdSchema = z
  .string()
  .regex(/^(bafkrei|bafybei)[a-z2-7]{52}$/, 'must be a blob id: a CID like bafkrei... or bafybei...');
const uploadSchema = z.string().min(1).max(64);
const nameSchema = z.string().min(1).max(255).describe('For people; not part of the id.');
const pinSchema = z
  .boolean()
  .optional()
  .describe('Keep it on this node until it is unpinned; true unless told.');
/** Whether it is base64 is seen when it is decoded: to look before that takes longer than to do it. */
const dataSchema = z
  .string()
  .max(
    PIECE_CHARACTERS_LIMIT,
    `longer than the limit of ${BLOB_PIECE_BYTES_LIMIT} bytes (BLOB_PIECE_BYTES_LIMIT)`,
  )
  .describe('base64');

const statShape = {
  id: z.string(),
  sizeBytes: z.number(),
  heldBytes: z.number().describe('On this node; fewer than sizeBytes while it is partial.'),
  isComplete: z.boolean(),
  isPinned: z.boolean(),
  origin: z.enum(['added', 'fetched']).describe('added here, or fetched from others'),
  name: z.string().nullable(),
  jobs: z.array(z.string()).describe('Jobs on record for which it is kept.'),
  addedAtMs: z.number(),
  usedAtMs: z.number(),
};
const statSchema = z.object({
  ...statShape,
  kind: z.literal('owned').describe('The kind of state: this node’s disk.'),
});

const holderSchema = z.object({
  peerId: z.string(),
  chunks: z.number(),
  lies: z.number().describe('Chunks, lists of chunks and sizes that were not true.'),
  stalls: z.number().describe('Times it did not answer in time.'),
  isAvoided: z.boolean().describe('It lied, and is asked for nothing for a while.'),
});

export const blobMethods = {
  'blob.add': method({
    params: mutating({ data: dataSchema, name: nameSchema.optional(), pin: pinSchema }),
    result: statSchema,
    isMutating: true,
    summary:
      'Keeps bytes on this node and names them by their content; larger ones go by blob.begin, write, commit.',
  }),
  'blob.begin': method({
    params: mutating({}),
    result: z.object({ upload: z.string() }),
    isMutating: true,
    summary:
      'Begins a blob that comes in pieces. It is given up when the connection closes before its commit.',
  }),
  'blob.write': method({
    params: mutating({ upload: uploadSchema, offset: z.int().min(0), data: dataSchema }),
    result: z.object({ sizeBytes: z.number().describe('So many bytes were taken in all.') }),
    isMutating: true,
    summary: 'The next piece, at the offset where the last one ended.',
  }),
  'blob.commit': method({
    params: mutating({ upload: uploadSchema, name: nameSchema.optional(), pin: pinSchema }),
    result: statSchema,
    isMutating: true,
    summary: 'Ends an upload; the blob is on the disk when this is answered.',
  }),
  'blob.abort': method({
    params: mutating({ upload: uploadSchema }),
    result: z.object({ aborted: z.boolean() }),
    isMutating: true,
    summary: 'Gives an upload up.',
  }),
  'blob.get': method({
    params: exactObject({
      id: blobIdSchema,
      offset: z.int().min(0).optional().describe('0 unless told'),
      lengthBytes: z.int().min(1).max(BLOB_PIECE_BYTES_LIMIT).optional().describe('1 MiB unless told'),
    }),
    result: z.object({
      id: z.string(),
      offset: z.number(),
      data: z.string().describe('base64; may be shorter than asked for'),
      sizeBytes: z.number().describe('Of the whole blob.'),
      isLast: z.boolean(),
    }),
    isMutating: false,
    summary: 'A part of a blob, verified; what is not on this node is fetched from those that have it.',
  }),
  'blob.fetch': method({
    params: mutating({
      id: blobIdSchema,
      from: z.array(peerIdSchema).max(16).optional().describe('Nodes that probably have it.'),
      pin: z.boolean().optional().describe('false unless told'),
      timeoutMs: durationMsSchema.optional(),
    }),
    result: statSchema,
    isMutating: true,
    summary: 'Brings the whole of a blob to this node; blob.stat tells how far it is.',
  }),
  'blob.stat': method({
    params: exactObject({ id: blobIdSchema, local: z.boolean().optional().describe('ask no other node') }),
    result: z.object({
      id: z.string(),
      local: statSchema.nullable().describe('null: nothing of it is on this node'),
      holders: z.array(z.string()).describe('Nodes that have the whole of it, of those that could be asked.'),
      suspects: z
        .array(holderSchema)
        .describe('Nodes that lied or stalled as holders of any blob, since the agent started.'),
    }),
    isMutating: false,
    summary: 'What is known of a blob. NOT_FOUND where neither this node nor any that could be asked has it.',
  }),
  'blob.list': method({
    params: exactObject({ limit: pageLimitSchema.optional(), cursor: cursorSchema.optional() }),
    result: z.object({
      blobs: z.array(statSchema),
      cursor: cursorSchema.optional(),
      usedBytes: z.number(),
      quotaBytes: z.number(),
      damagedCount: z.number().describe('Chunks that were damaged on this disk, since the agent started.'),
      peers: z.array(holderSchema).describe('What other nodes gave as holders, since the agent started.'),
    }),
    isMutating: false,
    summary: 'Blobs on this node, by id.',
  }),
  'blob.pin': method({
    params: mutating({ id: blobIdSchema }),
    result: statSchema,
    isMutating: true,
    summary: 'Keeps a blob on this node until it is unpinned, fetching it where it is not here.',
  }),
  'blob.unpin': method({
    params: mutating({ id: blobIdSchema }),
    result: statSchema,
    isMutating: true,
    summary: 'Lets it go when nothing else needs it and it was not used for an hour.',
  }),
  'blob.remove': method({
    params: mutating({
      id: blobIdSchema,
      force: z.boolean().optional().describe('also where a job on record needs it; false unless told'),
    }),
    result: z.object({ id: z.string(), removed: z.literal(true), freedBytes: z.number() }),
    isMutating: true,
    summary:
      'Removes a blob, pinned or not, from this node at once; others keep theirs. CONFLICT while it is in use, or a job needs it.',
  }),
} as const;
