import { AspenError, type Crypto, OneByOne } from '../base/index.ts';
import type { BlobId } from './blob-id.ts';
import type { BlobStat } from './blob-stat.ts';
import { BLOB_BYTES_LIMIT, CHUNK_BYTES } from './chunks.ts';
import type { BlobDisk, DataFile } from './disk.ts';
import type { KeepOptions } from './keep-rules.ts';
import { blobIdOf, type Manifest } from './manifest.ts';

export interface UploadComponents {
  readonly disk: BlobDisk;
  readonly crypto: Crypto;
  /** @throws AspenError RESOURCE_EXHAUSTED */
  makeRoom(bytes: number): Promise<void>;
  keep(
    upload: { readonly name: string; readonly id: BlobId; readonly manifest: Manifest },
    options: KeepOptions,
  ): Promise<BlobStat>;
  ended(upload: Upload): void;
}

/** A blob on its way in, piece by piece, in order. No more than one chunk of it is in memory. */
export class Upload {
  readonly #components: UploadComponents;
  readonly #name: string;
  readonly #digests: Uint8Array[] = [];
  #file: DataFile | undefined;
  #chunk = new Uint8Array(CHUNK_BYTES);
  #chunkBytes = 0;
  #sizeBytes = 0;
  #isOver = false;
  readonly #turn = new OneByOne();

  constructor(components: UploadComponents, name: string) {
    this.#components = components;
    this.#name = name;
  }

  /** What was taken so far; it counts against the quota. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Resolves when the bytes may be used again. @throws AspenError RESOURCE_EXHAUSTED; the upload can then only be given up. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#take(bytes));
  }

  /** K1 Durable when it resolves. */
  commit(options: KeepOptions = {}): Promise<BlobStat> {
    return this.#inTurn(async () => {
      this.#checkOpen();
      if (this.#chunkBytes > 0 || this.#digests.length === 0) await this.#writeChunk();
      const file = await this.#open();
      await file.sync();
      await file[Symbol.asyncDispose]();
      this.#file = undefined;
      const manifest = { sizeBytes: this.#sizeBytes, digests: new Uint8Array(Buffer.concat(this.#digests)) };
      const id = blobIdOf(this.#components.crypto, manifest);
      const stat = await this.#components.keep({ name: this.#name, id, manifest }, options);
      this.#end();
      return stat;
    });
  }

  /** Does nothing after it was kept. */
  abort(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isOver) return;
      this.#end();
      await this.#file?.[Symbol.asyncDispose]();
      this.#file = undefined;
      await this.#components.disk.remove(this.#name);
    });
  }

  async #take(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    if (this.#sizeBytes + bytes.length > BLOB_BYTES_LIMIT)
      throw new AspenError('RESOURCE_EXHAUSTED', `a blob has at most ${BLOB_BYTES_LIMIT} bytes`, {
        details: { limit: 'BLOB_BYTES_LIMIT' },
      });
    await this.#components.makeRoom(bytes.length);
    this.#sizeBytes += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bytes.length - at, CHUNK_BYTES - this.#chunkBytes);
      this.#chunk.set(bytes.subarray(at, at + taken), this.#chunkBytes);
      this.#chunkBytes += taken;
      at += taken;
      if (this.#chunkBytes === CHUNK_BYTES) await this.#writeChunk();
    }
  }

  async #writeChunk(): Promise<void> {
    const bytes = this.#chunk.subarray(0, this.#chunkBytes);
    const offset = this.#digests.length * CHUNK_BYTES;
    this.#digests.push(this.#components.crypto.sha256(bytes));
    const file = await this.#open();
    if (bytes.length > 0) await file.write(offset, bytes);
    this.#chunkBytes = 0;
  }

  async #open(): Promise<DataFile> {
    this.#file ??= await this.#components.disk.openData(this.#name);
    return this.#file;
  }

  #checkOpen(): void {
    if (this.#isOver) throw new AspenError('CONFLICT', 'this upload is over');
  }

  #end(): void {
    this.#isOver = true;
    this.#components.ended(this);
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    return this.#turn.run(step);
  }
}
