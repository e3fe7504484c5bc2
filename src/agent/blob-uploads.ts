import { AspenError, type Logger, type Random } from '../base/index.ts';
import type { BlobStore, Upload } from '../blobs/index.ts';
import type { Connection } from '../rpc/index.ts';

/** Uploads of one agent at a time. */
const OPEN_LIMIT = 64;

interface OpenUpload {
  readonly upload: Upload;
  readonly connection: Connection;
  readonly release: () => void;
  /** Accepted so far, written or waiting for it. */
  acceptedBytes: number;
}

/** Blobs that come in pieces over the socket. Each belongs to its connection and ends with it. */
export class BlobUploads {
  readonly #random: Random;
  readonly #log: Logger;
  readonly #open = new Map<string, OpenUpload>();

  constructor({ random, logger }: { readonly random: Random; readonly logger: Logger }) {
    this.#random = random;
    this.#log = logger.child({ part: 'blob-uploads' });
  }

  /** @throws AspenError RESOURCE_EXHAUSTED */
  begin(store: BlobStore, connection: Connection): string {
    if (this.#open.size >= OPEN_LIMIT)
      throw new AspenError('RESOURCE_EXHAUSTED', `${OPEN_LIMIT} uploads are open already`, {
        details: { limit: 'OPEN_LIMIT', retryAfterMs: 1_000 },
      });
    const id = `upl_${Buffer.from(this.#random.bytes(12)).toString('hex')}`;
    const upload = store.begin();
    const onClosed = () => {
      this.#open.delete(id);
      upload.abort().catch((err: unknown) => {
        this.#log.warn(
          { err, upload: id },
          'what was uploaded of a blob could not be removed, the next start does it',
        );
      });
    };
    connection.signal.addEventListener('abort', onClosed, { once: true });
    const release = () => connection.signal.removeEventListener('abort', onClosed);
    this.#open.set(id, { upload, connection, release, acceptedBytes: 0 });
    return id;
  }

  /**
   * Takes the piece that begins where the last one ended. One that was taken already is not taken twice.
   * @throws AspenError CONFLICT for another offset; the upload is given up when the disk or the quota is full.
   */
  async write(
    id: string,
    { offset, bytes }: { readonly offset: number; readonly bytes: Uint8Array },
    connection: Connection,
  ): Promise<number> {
    const open = this.#get(id, connection);
    const end = offset + bytes.length;
    if (end <= open.acceptedBytes) return open.acceptedBytes;
    if (offset !== open.acceptedBytes)
      throw new AspenError('CONFLICT', `the next piece begins at ${open.acceptedBytes}, not at ${offset}`, {
        details: { current: { offset: open.acceptedBytes } },
      });
    open.acceptedBytes = end;
    try {
      await open.upload.write(bytes);
    } catch (error) {
      await this.abort(id, connection);
      throw error;
    }
    return end;
  }

  /** Hands the upload over: it is the caller's to commit. */
  take(id: string, connection: Connection): Upload {
    const { upload, release } = this.#get(id, connection);
    release();
    this.#open.delete(id);
    return upload;
  }

  /** @returns whether it was open. */
  async abort(id: string, connection: Connection): Promise<boolean> {
    const open = this.#open.get(id);
    if (open === undefined || open.connection !== connection) return false;
    await this.take(id, connection).abort();
    return true;
  }

  #get(id: string, connection: Connection): OpenUpload {
    const open = this.#open.get(id);
    if (open !== undefined && open.connection === connection) return open;
    throw new AspenError('NOT_FOUND', `no upload "${id}" is open on this connection`);
  }
}
