import { AspenError, type Clock, type Crypto, type Logger, OneByOneOf, type Random } from '../base/index.ts';
import { type BlobId, isBlobId } from './blob-id.ts';
import type { BlobStat } from './blob-stat.ts';
import { type BlobReference, decodeState, encodeState } from './blob-state.ts';
import { BlobCatalog } from './catalog.ts';
import { CheckedChunks } from './checked-chunks.ts';
import { ChunkSet, chunkCountOf } from './chunks.ts';
import { collectable, type KeptBlob } from './collection.ts';
import type { BlobDisk } from './disk.ts';
import { BlobEntry, type BlobEntryComponents } from './entry.ts';
import { IdleFiles } from './idle-files.ts';
import { jobsOver, type KeepOptions, keptAgain, newState } from './keep-rules.ts';
import { encodeManifest, type Manifest } from './manifest.ts';
import { Upload } from './upload.ts';

export interface BlobStoreComponents {
  readonly disk: BlobDisk;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface BlobStoreOptions {
  /** Most bytes of all blobs together, those being added or fetched included. */
  readonly quotaBytes: number;
  /** How long a blob that nothing names is kept after its last use. Unit: ms. @default 1 h */
  readonly graceMs?: number;
}

interface EndedUpload {
  /** Of the entry on the disk. */
  readonly name: string;
  readonly manifest: Manifest;
  readonly id: BlobId;
}

/** Blobs on one disk. */
export const BLOBS_LIMIT = 100_000;
export const DEFAULT_GRACE_MS = 3_600_000;

/**
 * The blobs of one node.
 *
 * - K1 What is acknowledged is on the disk: bytes synced first, then what says that they are there.
 * - K3 All blobs together, begun ones included, are never more than the quota: room is taken before it is used.
 * - K4 A partial blob keeps its synced chunks over a restart and is gone on with.
 */
export class BlobStore {
  readonly #disk: BlobDisk;
  readonly #crypto: Crypto;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #quotaBytes: number;
  readonly #graceMs: number;
  readonly #catalog = new BlobCatalog();
  readonly #idle = new IdleFiles();
  readonly #parts: BlobEntryComponents;
  /** Uploads of the same bytes end one after the other. */
  readonly #keeping = new OneByOneOf<BlobId>();
  /** Begun here, and neither kept nor given up. */
  readonly #uploads = new Set<Upload>();
  readonly #chunks: CheckedChunks;

  constructor({ disk, crypto, clock, random, log }: BlobStoreComponents, options: BlobStoreOptions) {
    this.#disk = disk;
    this.#parts = { disk, idle: (entry) => this.#onIdle(entry) };
    this.#crypto = crypto;
    this.#clock = clock;
    this.#random = random;
    this.#log = log.child({ part: 'blobs' });
    const giveUp = (id: BlobId) => this.remove(id);
    this.#chunks = new CheckedChunks({ disk, crypto, clock, log: this.#log, catalog: this.#catalog, giveUp });
    this.#quotaBytes = options.quotaBytes;
    this.#graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  }

  /** Whole blobs, those that came last first. */
  newest(limit: number): readonly BlobId[] {
    return this.#catalog.newest(limit);
  }

  /** Reads what is there, without its bytes: those are checked when they are read. Orphans are removed. */
  async open(): Promise<void> {
    for (const name of await this.#disk.names()) {
      const entry = isBlobId(name) ? await this.#load(name) : undefined;
      if (entry !== undefined) this.#catalog.set(entry);
      else {
        this.#log.debug({ name }, 'orphan removed');
        await this.#disk.remove(name);
      }
    }
  }

  /** Ends what is open; uploads are given up. */
  async close(): Promise<void> {
    for (const upload of [...this.#uploads]) await upload.abort();
    for (const entry of this.#catalog.all()) {
      await entry.flush();
      await entry.close();
    }
  }

  get usedBytes(): number {
    let bytes = this.#catalog.roomBytes();
    for (const upload of this.#uploads) bytes += upload.sizeBytes;
    return bytes;
  }

  get quotaBytes(): number {
    return this.#quotaBytes;
  }

  /** Chunks that were not what they had to be when they were read from this disk. */
  get damagedCount(): number {
    return this.#chunks.damagedCount;
  }

  /** By id. */
  list(): BlobStat[] {
    return this.#catalog.list();
  }

  stat(id: BlobId): BlobStat | undefined {
    return this.#catalog.find(id)?.stat();
  }

  chunksOf(id: BlobId): ChunkSet | undefined {
    return this.#catalog.find(id)?.state.chunks;
  }

  isComplete(id: BlobId): boolean {
    return this.#catalog.find(id)?.state.chunks.isFull === true;
  }

  /** Takes bytes whose id is known when all of them have come. @throws AspenError RESOURCE_EXHAUSTED */
  begin(): Upload {
    const name = `upload-${Buffer.from(this.#random.bytes(8)).toString('hex')}`;
    const upload = new Upload(
      {
        disk: this.#disk,
        crypto: this.#crypto,
        makeRoom: (bytes) => this.#makeRoom(bytes),
        keep: (kept, options) => this.#keeping.run(kept.id, () => this.#keep(kept, options)),
        ended: (ended) => void this.#uploads.delete(ended),
      },
      name,
    );
    this.#uploads.add(upload);
    return upload;
  }

  /** @throws AspenError RESOURCE_EXHAUSTED */
  async add(bytes: Uint8Array, options: KeepOptions = {}): Promise<BlobStat> {
    const upload = this.begin();
    try {
      await upload.write(bytes);
      return await upload.commit(options);
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  /** Begins a copy of what others hold, or goes on with one. @throws AspenError RESOURCE_EXHAUSTED */
  async adopt(id: BlobId, manifest: Manifest, options: KeepOptions = {}): Promise<void> {
    const known = this.#catalog.find(id);
    if (known !== undefined) return this.#change(known, options);
    await this.#makeRoom(manifest.sizeBytes);
    const beaten = this.#catalog.find(id);
    if (beaten !== undefined) return this.#change(beaten, options);
    const { sizeBytes } = manifest;
    const chunks = new ChunkSet(chunkCountOf(sizeBytes));
    const state = newState({ sizeBytes, origin: 'fetched', chunks }, options, this.#clock.wallMs());
    const entry = new BlobEntry(this.#parts, id, state, manifest);
    this.#catalog.set(entry); // K3: its room is taken from here on
    try {
      await this.#disk.writeAtomic(id, 'manifest', encodeManifest(manifest));
      await entry.save();
    } catch (error) {
      this.#catalog.delete(id);
      await this.#disk.remove(id);
      throw error;
    }
  }

  /** @throws AspenError NOT_FOUND where the blob is not begun here, or what was kept of it is damaged. */
  manifest(id: BlobId): Promise<Manifest> {
    return this.#chunks.manifest(id);
  }

  /** K2 @returns undefined where the chunk is not here, or is damaged: then it is absent from now on. */
  readChunk(id: BlobId, index: number): Promise<Uint8Array | undefined> {
    return this.#chunks.read(id, index);
  }

  /**
   * Keeps one chunk of a partial blob; it survives a restart after the next `flush`.
   * @returns false when the bytes are not that chunk: nothing is kept then.
   */
  writeChunk(id: BlobId, index: number, bytes: Uint8Array): Promise<boolean> {
    return this.#chunks.write(id, index, bytes);
  }

  /** K1, K4 */
  async flush(id: BlobId): Promise<void> {
    await this.#catalog.get(id).flush();
  }

  /** Keeps it in use, so that it is not collected meanwhile. */
  hold(id: BlobId): Disposable {
    return this.#catalog.get(id).hold();
  }

  /** @throws AspenError NOT_FOUND */
  async pin(id: BlobId, isPinned: boolean): Promise<BlobStat> {
    const entry = this.#catalog.get(id);
    if (entry.state.isPinned !== isPinned) {
      entry.update({ isPinned, usedAtMs: this.#clock.wallMs() });
      await entry.save();
    }
    return entry.stat();
  }

  /**
   * @param keptForMs for how long the job needs it at most. @default as long as the job is on record
   * @throws AspenError NOT_FOUND
   */
  async refer(id: BlobId, jobId: string, keptForMs?: number): Promise<void> {
    await this.#change(this.#catalog.get(id), { jobId, ...(keptForMs !== undefined && { keptForMs }) });
  }

  /** Jobs for which blobs are kept here, each once. */
  references(): readonly (BlobReference & { readonly id: BlobId })[] {
    return this.#catalog.references();
  }

  async unrefer(id: BlobId, jobIds: ReadonlySet<string>): Promise<void> {
    const entry = this.#catalog.find(id);
    if (entry === undefined) return;
    const references = entry.state.references.filter(({ jobId }) => !jobIds.has(jobId));
    if (references.length === entry.state.references.length) return;
    entry.update({ references });
    await entry.save();
  }

  /** G4 Ends the references whose time has passed. */
  async unreferOld(): Promise<void> {
    const nowMs = this.#clock.wallMs();
    for (const { id, state } of this.#catalog.all()) {
      const over = jobsOver(state.references, nowMs);
      if (over.size > 0) await this.unrefer(id, over);
    }
  }

  /** Gives it up, whatever names it. @returns whether it was here. */
  async remove(id: BlobId): Promise<boolean> {
    const entry = this.#catalog.find(id);
    if (entry === undefined) return false;
    this.#catalog.delete(id);
    await this.#idle.close(entry);
    await this.#disk.remove(id);
    return true;
  }

  /**
   * Gives it up because somebody asks for that, pinned or not.
   * @param isForced also where a job needs it. @returns how many bytes that freed.
   * @throws AspenError NOT_FOUND; CONFLICT while it is in use, or a job needs it: nothing is removed then.
   */
  async discard(id: BlobId, { isForced }: { readonly isForced: boolean }): Promise<number> {
    const entry = this.#catalog.get(id);
    const { isInUse } = entry.kept();
    const { jobs, heldBytes } = entry.stat();
    if (isInUse) throw new AspenError('CONFLICT', `blob ${id} is being read, written or fetched here`);
    if (jobs.length > 0 && !isForced)
      throw new AspenError('CONFLICT', `blob ${id} is kept for ${jobs.length} jobs on record`, {
        details: { current: { jobs: jobs.slice(0, 10) } },
      });
    await this.remove(id);
    return heldBytes;
  }

  /** Removes what nothing names any more. @returns what went. */
  async collect(neededBytes = 0): Promise<readonly BlobId[]> {
    const kept: KeptBlob[] = this.#catalog.all().map((entry) => entry.kept());
    const gone = collectable(kept, { nowMs: this.#clock.wallMs(), graceMs: this.#graceMs, neededBytes });
    for (const id of gone) await this.remove(id);
    if (gone.length > 0) this.#log.info({ count: gone.length }, 'blobs collected');
    return gone;
  }

  /** What was removed while it was read is not kept open. */
  #onIdle(entry: BlobEntry): Promise<void> {
    return this.#catalog.find(entry.id) === entry ? this.#idle.add(entry) : this.#idle.close(entry);
  }

  /** K3 @throws AspenError RESOURCE_EXHAUSTED */
  async #makeRoom(bytes: number): Promise<void> {
    if (this.usedBytes + bytes > this.#quotaBytes)
      await this.collect(this.usedBytes + bytes - this.#quotaBytes);
    if (this.usedBytes + bytes <= this.#quotaBytes && this.#catalog.size < BLOBS_LIMIT) return;
    throw new AspenError(
      'RESOURCE_EXHAUSTED',
      `no room for ${bytes} bytes: blobs of this node have ${this.usedBytes} of ${this.#quotaBytes} bytes and are ${this.#catalog.size} of ${BLOBS_LIMIT}; ` +
        'unpin what is not needed (aspen-agent blob list, blob unpin), or set blobQuota in aspen.yaml',
      { details: { limit: 'blobQuota' } },
    );
  }

  /** An upload has ended in a blob. */
  async #keep({ name, manifest, id }: EndedUpload, options: KeepOptions): Promise<BlobStat> {
    const known = this.#catalog.find(id);
    if (known?.state.chunks.isFull === true) {
      await this.#disk.remove(name);
      known.update({ origin: 'added' });
      await this.#change(known, options);
      return known.stat();
    }
    const chunks = ChunkSet.full(chunkCountOf(manifest.sizeBytes));
    const { sizeBytes } = manifest;
    const state = newState({ sizeBytes, origin: 'added', chunks }, options, this.#clock.wallMs());
    await this.#disk.writeAtomic(name, 'manifest', encodeManifest(manifest));
    await this.#disk.writeAtomic(name, 'state', encodeState(state));
    if (known !== undefined) await this.remove(id);
    await this.#disk.rename(name, id); // K1: it is there from here on
    const entry = new BlobEntry(this.#parts, id, state, manifest);
    this.#catalog.set(entry);
    return entry.stat();
  }

  async #change(entry: BlobEntry, options: KeepOptions): Promise<void> {
    entry.update(keptAgain(entry.state, options, this.#clock.wallMs()));
    await entry.save();
  }

  /** @returns undefined where what is there is no blob, or not as much of it as it says. */
  async #load(id: BlobId): Promise<BlobEntry | undefined> {
    const bytes = await this.#disk.read(id, 'state');
    const state = bytes === undefined ? undefined : decodeState(bytes);
    if (state === undefined) return undefined;
    if (state.chunks.isFull && (await this.#disk.dataBytes(id)) !== state.sizeBytes) return undefined;
    return new BlobEntry(this.#parts, id, state, undefined);
  }
}
