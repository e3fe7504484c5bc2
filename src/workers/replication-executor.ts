import { z } from 'zod';
import { AspenError } from '../base/index.ts';
import type { BlobStat } from '../blobs/index.ts';
import type { AttemptContext, ExecutionResult, Executor } from '../jobs/index.ts';
import { BackupDecoder, type BackupHeader, type GroupClient } from '../lease/index.ts';
import { type BlobExecutorComponents, copyTo } from './blob-executor.ts';
import { attempted } from './failures.ts';
import { blobPieces } from './http-body.ts';
import { payloadCheck } from './payload-check.ts';

const COPIES_LIMIT = 100;
/** Keys of one page; a page has a limit of bytes too. */
const PAGE_KEYS = 1_000;

const copies = z.int().min(1).max(COPIES_LIMIT).default(1);
const schema = z.discriminatedUnion('source', [
  z.strictObject({ source: z.literal('kv'), prefix: z.string().max(1_024).default(''), copies }),
  z.strictObject({ source: z.literal('backup'), copies }),
]);

export type ReplicationJob = z.output<typeof schema>;

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export const parseReplicationJob = payloadCheck('replication', schema);

/** Takes backups of the agreed state, piece by piece. */
export interface BackupTaker {
  /** @throws AspenError CONFLICT where this node holds no copy of it, or does not catch up. */
  begin(): Promise<{ readonly id: string; readonly header: BackupHeader }>;
  /** @returns undefined at the end. */
  read(id: string): Uint8Array | undefined;
  end(id: string): void;
}

export interface ReplicationComponents extends Pick<BlobExecutorComponents, 'blobs' | 'candidates'> {
  readonly group: Pick<GroupClient, 'query'>;
  readonly backups: BackupTaker;
}

interface KvPage {
  readonly entries: readonly { readonly key: string; readonly value: string; readonly revision: number }[];
  readonly cursor?: string;
}

/**
 * Copies what was agreed into a blob, and reads the copy again.
 *
 * - W6 It is done when every byte of the blob was read back, says what was written, and as many nodes as asked hold it.
 */
export class ReplicationExecutor implements Executor {
  readonly type = 'replication';
  readonly #components: ReplicationComponents;

  constructor(components: ReplicationComponents) {
    this.#components = components;
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    return attempted(attempt, parseReplicationJob, (job) => this.#copy(attempt, job));
  }

  async #copy(attempt: AttemptContext, job: ReplicationJob): Promise<ExecutionResult> {
    const made =
      job.source === 'kv' ? await this.#copyKeys(attempt, job.prefix) : await this.#backUp(attempt);
    const { id, sizeBytes } = made.blob;
    const { blobs } = this.#components;
    const facts = { jobId: attempt.jobId, self: attempt.node };
    const holders =
      job.copies === 1
        ? await blobs.holders(id)
        : await copyTo(this.#components, { id, copies: job.copies, ...facts });
    const result = {
      source: job.source,
      ...made.facts,
      blob: { id, sizeBytes },
      copies: job.copies,
      holders,
    };
    if (holders.length >= job.copies) return { ok: true, result };
    const message = `${holders.length} of ${job.copies} nodes have ${id}`;
    return { ok: false, error: { code: 'TOO_FEW_COPIES', message, retryable: true }, result };
  }

  /** One JSON object a line, in the order of the keys; what changes meanwhile is copied as it is on one of its pages. */
  async #copyKeys({ jobId, signal }: AttemptContext, prefix: string): Promise<Made> {
    const lines = async function* (query: GroupClient['query']): AsyncGenerator<string> {
      for (let cursor: string | null = null; ; ) {
        signal.throwIfAborted();
        const body = { prefix, limit: PAGE_KEYS, cursor };
        const page: KvPage = await query<KvPage>({ module: 'kv', kind: 'scan', body });
        for (const entry of page.entries) yield `${JSON.stringify(entry)}\n`;
        if (page.cursor === undefined) return;
        cursor = page.cursor;
      }
    };
    const { group } = this.#components;
    let keyCount = 0;
    const utf8 = new TextEncoder();
    const pieces = async function* () {
      for await (const line of lines((query) => group.query(query))) {
        keyCount += 1;
        yield utf8.encode(line);
      }
    };
    const blob = await this.#write(pieces(), jobId);
    const readCount = await countLines(blobPieces(this.#components.blobs, blob.id, signal));
    if (readCount !== keyCount) throw differs(`${readCount} of ${keyCount} keys`);
    return { blob, facts: { prefix, keyCount } };
  }

  async #backUp({ jobId, signal }: AttemptContext): Promise<Made> {
    const { backups, blobs } = this.#components;
    const { id, header } = await this.#beginBackup();
    const pieces = async function* () {
      for (let piece = backups.read(id); piece !== undefined; piece = backups.read(id)) {
        signal.throwIfAborted();
        yield piece;
      }
    };
    try {
      const blob = await this.#write(pieces(), jobId);
      const recordCount = await checkBackup(blobPieces(blobs, blob.id, signal));
      const { index, epoch, takenAtMs, meshId } = header;
      return { blob, facts: { meshId, epoch, index, takenAt: takenAtMs, recordCount } };
    } finally {
      backups.end(id);
    }
  }

  /** Another node may hold what this one does not. */
  async #beginBackup(): ReturnType<BackupTaker['begin']> {
    try {
      return await this.#components.backups.begin();
    } catch (error) {
      if (!(error instanceof AspenError) || error.code !== 'CONFLICT') throw error;
      throw new AspenError('UNAVAILABLE', error.message, { cause: error });
    }
  }

  async #write(pieces: AsyncIterable<Uint8Array>, jobId: string): Promise<BlobStat> {
    const upload = this.#components.blobs.store.begin();
    try {
      for await (const piece of pieces) await upload.write(piece);
      return await upload.commit({ jobId });
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }
}

interface Made {
  readonly blob: BlobStat;
  readonly facts: object;
}

const NEWLINE = 0x0a;

async function countLines(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const piece of pieces) for (const byte of piece) if (byte === NEWLINE) count += 1;
  return count;
}

/** @returns how many records it holds. @throws AspenError UNAVAILABLE when it is damaged or cut short. */
async function checkBackup(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const decoder = new BackupDecoder();
  let recordCount = 0;
  try {
    for await (const piece of pieces)
      for (const frame of decoder.push(piece)) if (frame.kind === 'end') recordCount = frame.recordCount;
    decoder.end();
  } catch (error) {
    if (error instanceof AspenError && error.code === 'CONFLICT') throw differs(error.message);
    throw error;
  }
  return recordCount;
}

function differs(what: string): AspenError {
  return new AspenError('UNAVAILABLE', `the copy that was read again is another: ${what}`);
}
