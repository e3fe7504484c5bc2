import { z } from 'zod';
import { AspenError, type PeerId } from '../base/index.ts';
import { type BlobId, type Blobs, parseBlobId } from '../blobs/index.ts';
import type { AttemptContext, ExecutionResult, Executor } from '../jobs/index.ts';
import { ALGORITHMS, type Codecs, FORMATS } from './codecs.ts';
import { attempted } from './failures.ts';
import { blobPieces } from './http-body.ts';
import { blobIdSchema, payloadCheck } from './payload-check.ts';

/** Longest result of one job when the payload does not say: a few bytes can decompress to anything. Unit: bytes. */
const DEFAULT_MAX_BYTES = 2 ** 30;
const MOST_BYTES = 16 * 2 ** 30;
/** Nodes that one job may ask to keep a copy. */
const COPIES_LIMIT = 100;
/** How long one node may take to copy. Unit: ms. */
const COPY_TIMEOUT_MS = 10 * 60_000;

const blob = blobIdSchema;
const transform = {
  blob,
  format: z.enum(FORMATS).default('gzip'),
  maxBytes: z.int().min(1).max(MOST_BYTES).default(DEFAULT_MAX_BYTES),
};
const schema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('compress'), ...transform }),
  z.strictObject({ op: z.literal('decompress'), ...transform }),
  z.strictObject({ op: z.literal('checksum'), blob, algorithm: z.enum(ALGORITHMS).default('sha256') }),
  z.strictObject({ op: z.literal('replicate'), blob, copies: z.int().min(1).max(COPIES_LIMIT) }),
]);

export type BlobJob = z.output<typeof schema>;
type Transform = Extract<BlobJob, { readonly op: 'compress' | 'decompress' }>;
type Checksum = Extract<BlobJob, { readonly op: 'checksum' }>;
type Replicate = Extract<BlobJob, { readonly op: 'replicate' }>;

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export const parseBlobJob = payloadCheck('blob', schema);

export interface BlobExecutorComponents {
  readonly blobs: Pick<Blobs, 'store' | 'ensure' | 'read' | 'replicate' | 'holders'>;
  readonly codecs: Codecs;
  /** Linked nodes that may be asked for a copy, the best first. */
  readonly candidates: () => readonly PeerId[];
}

/** Works on blobs: compresses, sums up, copies to further nodes. */
export class BlobExecutor implements Executor {
  readonly type = 'blob';
  readonly #components: BlobExecutorComponents;

  constructor(components: BlobExecutorComponents) {
    this.#components = components;
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    return attempted(attempt, parseBlobJob, async (job) => {
      if (job.op === 'checksum') return this.#sum(attempt, job);
      return job.op === 'replicate' ? this.#replicate(attempt, job) : this.#transform(attempt, job);
    });
  }

  async #transform(
    { jobId, signal }: AttemptContext,
    { op, blob: name, format, maxBytes }: Transform,
  ): Promise<ExecutionResult> {
    const { blobs, codecs } = this.#components;
    if (!codecs.formats.includes(format))
      throw new AspenError('UNAVAILABLE', `this node does not know ${format}`);
    const id = parseBlobId(name);
    const { sizeBytes } = await blobs.ensure(id, { jobId, signal });
    const upload = blobs.store.begin();
    try {
      for await (const piece of codecs[op](format, blobPieces(blobs, id, signal))) {
        signal.throwIfAborted();
        if (upload.sizeBytes + piece.length > maxBytes) throw tooLong(maxBytes);
        await upload.write(piece);
      }
      const made = await upload.commit({ jobId });
      return {
        ok: true,
        result: { op, format, blob: { id: made.id, sizeBytes: made.sizeBytes }, from: { id, sizeBytes } },
      };
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async #sum(
    { jobId, signal }: AttemptContext,
    { blob: name, algorithm }: Checksum,
  ): Promise<ExecutionResult> {
    const { blobs, codecs } = this.#components;
    const id = parseBlobId(name);
    const { sizeBytes } = await blobs.ensure(id, { jobId, signal });
    const hex = await codecs.checksum(algorithm, blobPieces(blobs, id, signal));
    return { ok: true, result: { op: 'checksum', blob: { id, sizeBytes }, algorithm, hex } };
  }

  async #replicate(
    { jobId, signal, node }: AttemptContext,
    { blob: name, copies }: Replicate,
  ): Promise<ExecutionResult> {
    const { blobs } = this.#components;
    const id = parseBlobId(name);
    const { sizeBytes } = await blobs.ensure(id, { jobId, signal });
    const holders = await copyTo(this.#components, { id, copies, jobId, self: node });
    const result = { op: 'replicate', blob: { id, sizeBytes }, copies, holders };
    if (holders.length >= copies) return { ok: true, result };
    const message = `${holders.length} of ${copies} nodes have ${id}`;
    return { ok: false, error: { code: 'TOO_FEW_COPIES', message, retryable: true }, result };
  }
}

/**
 * Has as many nodes hold a blob as are asked for, this one included, where there are so many.
 *
 * - W5 Counted is who says that it holds all of it when it is asked afterwards.
 * @returns who does, this node first.
 */
export async function copyTo(
  { blobs, candidates }: Pick<BlobExecutorComponents, 'blobs' | 'candidates'>,
  {
    id,
    copies,
    jobId,
    self,
  }: { readonly id: BlobId; readonly copies: number; readonly jobId: string; readonly self: PeerId },
): Promise<readonly PeerId[]> {
  const before = new Set([self, ...(await blobs.holders(id))]);
  // Who holds it already is asked too: then it keeps it as long as this job is on record.
  const known = candidates().filter((peerId) => before.has(peerId));
  const fresh = candidates().filter((peerId) => !before.has(peerId));
  const count = copies - 1;
  if (count > 0)
    await blobs.replicate(id, { count, candidates: [...known, ...fresh], jobId, timeoutMs: COPY_TIMEOUT_MS });
  return blobs.holders(id);
}

function tooLong(maxBytes: number): AspenError {
  return new AspenError('INVALID_PARAMS', `the result is longer than maxBytes, ${maxBytes}`);
}
