import { AspenError, type Clock, type Crypto, type Logger } from '../base/index.ts';
import type { BlobId } from './blob-id.ts';
import type { BlobCatalog } from './catalog.ts';
import { CHUNK_BYTES, chunkBytesOf } from './chunks.ts';
import type { BlobDisk } from './disk.ts';
import { isChunk, type Manifest, readManifest } from './manifest.ts';

export interface CheckedChunksComponents {
  readonly disk: BlobDisk;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Logger;
  readonly catalog: BlobCatalog;
  /** What is kept of the blob is of no use. */
  readonly giveUp: (id: BlobId) => Promise<unknown>;
}

/**
 * The bytes of the blobs on one disk.
 *
 * - K2 No byte leaves that was not compared with its digest on the way; what differs counts as absent from then on.
 */
export class CheckedChunks {
  readonly #components: CheckedChunksComponents;
  #damagedCount = 0;

  constructor(components: CheckedChunksComponents) {
    this.#components = components;
  }

  /** Chunks and manifests that were not what they had to be when they were read. */
  get damagedCount(): number {
    return this.#damagedCount;
  }

  /** @throws AspenError NOT_FOUND where the blob is not begun here, or what was kept of it is damaged: then it is given up. */
  async manifest(id: BlobId): Promise<Manifest> {
    const entry = this.#components.catalog.get(id);
    entry.manifest ??= await this.#readManifest(id);
    return entry.manifest;
  }

  /** K2 @returns undefined where the chunk is not here, or is damaged: then it is absent from now on. */
  async read(id: BlobId, index: number): Promise<Uint8Array | undefined> {
    const { catalog, clock, crypto, log } = this.#components;
    const entry = catalog.find(id);
    if (entry === undefined || !entry.state.chunks.has(index)) return undefined;
    const manifest = await this.manifest(id);
    await using data = await entry.open();
    const bytes = await data.read(index * CHUNK_BYTES, chunkBytesOf(manifest.sizeBytes, index));
    entry.use(clock.wallMs());
    if (isChunk(crypto, manifest, index, bytes)) return bytes;
    this.#damagedCount += 1;
    log.warn({ id, index }, 'a chunk on the disk is damaged');
    entry.lose(index);
    catalog.changed();
    await entry.save();
    return undefined;
  }

  /**
   * Keeps one chunk of a partial blob; it survives a restart after the next `flush`.
   * @returns false when the bytes are not that chunk: nothing is kept then.
   */
  async write(id: BlobId, index: number, bytes: Uint8Array): Promise<boolean> {
    const { catalog, crypto } = this.#components;
    const entry = catalog.get(id);
    const manifest = await this.manifest(id);
    if (!isChunk(crypto, manifest, index, bytes)) return false;
    if (entry.state.chunks.has(index)) return true;
    await using data = await entry.open();
    await data.write(index * CHUNK_BYTES, bytes);
    entry.gain(index);
    if (entry.state.chunks.isFull) catalog.changed();
    return true;
  }

  async #readManifest(id: BlobId): Promise<Manifest> {
    const { disk, crypto, log, giveUp } = this.#components;
    const bytes = await disk.read(id, 'manifest');
    try {
      if (bytes !== undefined) return readManifest(crypto, id, bytes);
    } catch (cause) {
      if (!(cause instanceof AspenError)) throw cause;
      log.warn({ err: cause, id }, 'a manifest on the disk is damaged');
    }
    this.#damagedCount += 1;
    await giveUp(id);
    throw new AspenError('NOT_FOUND', `what this node kept of blob ${id} is damaged and was given up`);
  }
}
