import { AspenError, type Clock, type PeerId, sleep } from '../base/index.ts';
import { type Blobs, parseBlobId } from '../blobs/index.ts';
import { BLOB_PAYLOAD_BYTES_LIMIT, type BlobPayload, type PayloadSource } from '../jobs/index.ts';

export interface PayloadBlobsComponents {
  readonly self: PeerId;
  readonly blobs: Pick<Blobs, 'store' | 'ensure' | 'replicate'>;
  readonly clock: Clock;
  /** Linked nodes that run jobs. */
  readonly workers: () => readonly PeerId[];
}

export interface PayloadBlobsOptions {
  /** How long an attempt waits for a payload that nobody has. Unit: ms. @default 60_000 */
  readonly patienceMs?: number;
}

/** Nodes asked, one after the other, to keep a copy. */
const CANDIDATES_LIMIT = 3;
/** How long each may take. Unit: ms. */
const COPY_TIMEOUT_MS = 10_000;
const AGAIN_MS = 1_000;

/**
 * Payloads too long for a record, as blobs.
 *
 * - J1 The blob is on this disk, and on one further where a node is linked that takes it, before the job that names it is submitted.
 * - J2 It is kept there, and where it was run, as long as the job is on record.
 */
export class PayloadBlobs implements PayloadSource {
  readonly #components: PayloadBlobsComponents;
  readonly #patienceMs: number;

  constructor(components: PayloadBlobsComponents, { patienceMs = 60_000 }: PayloadBlobsOptions = {}) {
    this.#components = components;
    this.#patienceMs = patienceMs;
  }

  /** J1, J2 @throws AspenError RESOURCE_EXHAUSTED when it is too long, or does not fit the quota. */
  async keep(jobId: string, payload: unknown): Promise<BlobPayload> {
    const { self, blobs, workers } = this.#components;
    const bytes = new TextEncoder().encode(JSON.stringify(payload));
    if (bytes.length > BLOB_PAYLOAD_BYTES_LIMIT)
      throw new AspenError(
        'RESOURCE_EXHAUSTED',
        `payload has ${bytes.length} bytes, the limit is ${BLOB_PAYLOAD_BYTES_LIMIT}; add it as a blob (aspen-agent blob add) and name its id in the payload`,
        { details: { limit: 'BLOB_PAYLOAD_BYTES_LIMIT' } },
      );
    const { id, sizeBytes } = await blobs.store.add(bytes, { jobId });
    const candidates = workers().slice(0, CANDIDATES_LIMIT);
    const copies = await blobs.replicate(id, { count: 1, candidates, jobId, timeoutMs: COPY_TIMEOUT_MS });
    return { $blob: { id, sizeBytes, nodes: [self, ...copies] } };
  }

  async fetch(
    { $blob: { id: name, sizeBytes, nodes } }: BlobPayload,
    { jobId, signal, onWait }: Parameters<PayloadSource['fetch']>[1],
  ): Promise<unknown> {
    const { blobs, clock } = this.#components;
    const id = parseBlobId(name);
    if (sizeBytes > BLOB_PAYLOAD_BYTES_LIMIT)
      throw new AspenError(
        'INVALID_PARAMS',
        `the payload of ${sizeBytes} bytes is too long: read blob ${id} in the job`,
      );
    const untilMs = clock.monotonicMs() + this.#patienceMs;
    if (!blobs.store.isComplete(id)) onWait(`waits for blob ${id}, the payload of ${sizeBytes} bytes`);
    for (;;) {
      try {
        await blobs.ensure(id, { hints: nodes as readonly PeerId[], jobId, signal });
        return await this.#read(id);
      } catch (error) {
        if (!isWorthWaiting(error) || clock.monotonicMs() >= untilMs) throw error;
      }
      await sleep(clock, AGAIN_MS, signal);
    }
  }

  async #read(id: ReturnType<typeof parseBlobId>): Promise<unknown> {
    const { store } = this.#components.blobs;
    using _ = store.hold(id);
    const { sizeBytes } = await store.manifest(id);
    if (sizeBytes > BLOB_PAYLOAD_BYTES_LIMIT)
      throw new AspenError('INVALID_PARAMS', `blob ${id} of ${sizeBytes} bytes is too long for a payload`);
    const chunks: Uint8Array[] = [];
    for (let index = 0; index < (store.chunksOf(id)?.limit ?? 0); index += 1) {
      const chunk = await store.readChunk(id, index);
      if (chunk === undefined) throw new AspenError('UNAVAILABLE', `chunk ${index} of blob ${id} is damaged`);
      chunks.push(chunk);
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch (cause) {
      throw new AspenError('INVALID_PARAMS', `blob ${id} is named as a payload, and is not JSON`, { cause });
    }
  }
}

/** Whoever has it may come back. */
function isWorthWaiting(error: unknown): boolean {
  return error instanceof AspenError && (error.code === 'NOT_FOUND' || error.retry === 'later');
}
