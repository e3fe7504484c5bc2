import { AspenError, type Clock, type Crypto, type Logger, type Random } from '../base/index.ts';
import { type BlobId, isBlobId } from './blob-id.ts';
import {
  BLOB_NAME_LIMIT,
  type BlobReference,
  type BlobState,
  decodeState,
  encodeState,
  REFERENCES_LIMIT,
} from './blob-state.ts';
import { CHUNK_BYTES, ChunkSet, chunkBytesOf, chunkCountOf } from './chunks.ts';
import { collectable, type KeptBlob } from './collection.ts';
import type { BlobDisk } from './disk.ts';
import { BlobEntry, type BlobEntryComponents } from './entry.ts';
import { encodeManifest, isChunk, type Manifest, readManifest } from './manifest.ts';
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

/** What a node tells of a blob of its own. */
export interface BlobStat {
  readonly id: BlobId;
  readonly sizeBytes: number;
  /** Bytes on this disk; fewer than `sizeBytes` while it is partial. */
  readonly heldBytes: number;
  readonly isComplete: boolean;
  readonly isPinned: boolean;
  readonly origin: 'added' | 'fetched';
  readonly name: string | null;
  readonly jobs: readonly string[];
  readonly addedAtMs: number;
  readonly usedAtMs: number;
}

export interface KeepOptions {
  readonly isPinned?: boolean;
  readonly name?: string;
  /** The job that needs it. */
  readonly jobId?: string;
  /** For how long the job needs it at most. Unit: ms. @default as long as the job is on record */
  readonly keptForMs?: number;
}

interface EndedUpload {
  /** Of the entry on the disk. */
  readonly name: string;
  readonly manifest: Manifest;
  readonly id: BlobId;
}

/** Blobs on one disk. */
export const BLOBS_LIMIT = 100_000;
/** Files that stay open though nobody uses them now. */
const IDLE_FILES_LIMIT = 16;
export const DEFAULT_GRACE_MS = 3_600_000;

/**
 * The blobs of one node.
 *
 * - K1 What is acknowledged is on the disk: bytes synced first, then what says that they are there.
 * - K2 No byte leaves the store that was not compared with its digest on the way; what differs counts as absent from then on.
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
  readonly #entries = new Map<BlobId, BlobEntry>();
  /** Those whose files are open though nobody uses them now, the one that was used last at the end. */
  readonly #idle = new Set<BlobEntry>();
  readonly #parts: BlobEntryComponents;
  readonly #keeping = new Map<BlobId, Promise<void>>();
  /** Begun here, and neither kept nor given up. */
  readonly #uploads = new Set<Upload>();
  #damagedCount = 0;
  /** Until a blob comes, goes, or becomes whole. */
  #newest: { readonly limit: number; readonly ids: readonly BlobId[] } | undefined;

  constructor({ disk, crypto, clock, random, log }: BlobStoreComponents, options: BlobStoreOptions) {
    this.#disk = disk;
    this.#parts = { disk, idle: (entry) => this.#idled(entry) };
    this.#crypto = crypto;
    this.#clock = clock;
    this.#random = random;
    this.#log = log.child({ part: 'blobs' });
    this.#quotaBytes = options.quotaBytes;
    this.#graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  }

  /** Whole blobs, those that came last first. */
  newest(limit: number): readonly BlobId[] {
    if (this.#newest?.limit !== limit) {
      const whole = [...this.#entries.values()].filter(({ state }) => state.chunks.isFull);
      whole.sort(
        (left, right) => right.state.addedAtMs - left.state.addedAtMs || (left.id < right.id ? -1 : 1),
      );
      this.#newest = { limit, ids: whole.slice(0, limit).map(({ id }) => id) };
    }
    return this.#newest.ids;
  }

  /** Reads what is there, without its bytes: those are checked when they are read. Orphans are removed. */
  async open(): Promise<void> {
    for (const name of await this.#disk.names()) {
      const entry = isBlobId(name) ? await this.#load(name) : undefined;
      if (entry !== undefined) this.#entries.set(entry.id, entry);
      else {
        this.#log.debug({ name }, 'orphan removed');
        await this.#disk.remove(name);
      }
    }
  }

  /** Ends what is open; uploads are given up. */
  async close(): Promise<void> {
    for (const upload of [...this.#uploads]) await upload.abort();
    for (const entry of this.#entries.values()) {
      await entry.flush();
      await entry.close();
    }
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.roomBytes;
    for (const upload of this.#uploads) bytes += upload.sizeBytes;
    return bytes;
  }

  get quotaBytes(): number {
    return this.#quotaBytes;
  }

  /** Chunks that were not what they had to be when they were read from this disk. */
  get damagedCount(): number {
    return this.#damagedCount;
  }

  /** By id. */
  list(): BlobStat[] {
    return [...this.#entries.values()]
      .map((entry) => entry.stat())
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  stat(id: BlobId): BlobStat | undefined {
    return this.#entries.get(id)?.stat();
  }

  chunksOf(id: BlobId): ChunkSet | undefined {
    return this.#entries.get(id)?.state.chunks;
  }

  isComplete(id: BlobId): boolean {
    return this.#entries.get(id)?.state.chunks.isFull === true;
  }

  /** Takes bytes whose id is known when all of them have come. @throws AspenError RESOURCE_EXHAUSTED */
  begin(): Upload {
    const name = `upload-${Buffer.from(this.#random.bytes(8)).toString('hex')}`;
    const upload = new Upload(
      {
        disk: this.#disk,
        crypto: this.#crypto,
        makeRoom: (bytes) => this.#makeRoom(bytes),
        keep: (kept, options) => this.#keep(kept, options),
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
    const known = this.#entries.get(id);
    if (known !== undefined) return this.#change(known, options);
    await this.#makeRoom(manifest.sizeBytes);
    const beaten = this.#entries.get(id);
    if (beaten !== undefined) return this.#change(beaten, options);
    const state = this.#newState(manifest.sizeBytes, {
      origin: 'fetched',
      chunks: new ChunkSet(chunkCountOf(manifest.sizeBytes)),
      options,
    });
    const entry = new BlobEntry(this.#parts, id, state, manifest);
    this.#entries.set(id, entry); // K3: its room is taken from here on
    try {
      await this.#disk.writeAtomic(id, 'manifest', encodeManifest(manifest));
      await entry.save();
    } catch (error) {
      this.#entries.delete(id);
      await this.#disk.remove(id);
      throw error;
    }
  }

  /** @throws AspenError NOT_FOUND where the blob is not begun here; INTERNAL where what is on the disk is no manifest of it. */
  async manifest(id: BlobId): Promise<Manifest> {
    const entry = this.#get(id);
    entry.manifest ??= await this.#readManifest(id);
    return entry.manifest;
  }

  /** K2 @returns undefined where the chunk is not here, or is damaged: then it is absent from now on. */
  async readChunk(id: BlobId, index: number): Promise<Uint8Array | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined || !entry.state.chunks.has(index)) return undefined;
    const manifest = await this.manifest(id);
    await using data = await entry.open();
    const bytes = await data.read(index * CHUNK_BYTES, chunkBytesOf(manifest.sizeBytes, index));
    entry.use(this.#clock.wallMs());
    if (isChunk(this.#crypto, manifest, index, bytes)) return bytes;
    this.#damagedCount += 1;
    this.#log.warn({ id, index }, 'a chunk on the disk is damaged');
    entry.lose(index);
    this.#newest = undefined;
    await entry.save();
    return undefined;
  }

  /**
   * Keeps one chunk of a partial blob; it survives a restart after the next `flush`.
   * @returns false when the bytes are not that chunk: nothing is kept then.
   */
  async writeChunk(id: BlobId, index: number, bytes: Uint8Array): Promise<boolean> {
    const entry = this.#get(id);
    const manifest = await this.manifest(id);
    if (!isChunk(this.#crypto, manifest, index, bytes)) return false;
    if (entry.state.chunks.has(index)) return true;
    await using data = await entry.open();
    await data.write(index * CHUNK_BYTES, bytes);
    entry.gain(index);
    if (entry.state.chunks.isFull) this.#newest = undefined;
    return true;
  }

  /** K1, K4 */
  async flush(id: BlobId): Promise<void> {
    await this.#get(id).flush();
  }

  /** Keeps it in use, so that it is not collected meanwhile. */
  hold(id: BlobId): Disposable {
    return this.#get(id).hold();
  }

  /** @throws AspenError NOT_FOUND */
  async pin(id: BlobId, isPinned: boolean): Promise<BlobStat> {
    const entry = this.#get(id);
    if (entry.state.isPinned !== isPinned) {
      entry.update({ isPinned, usedAtMs: this.#clock.wallMs() });
      await entry.save();
    }
    return entry.stat();
  }

  /** @throws AspenError NOT_FOUND */
  async refer(id: BlobId, jobId: string): Promise<void> {
    await this.#change(this.#get(id), { jobId });
  }

  /** Jobs for which blobs are kept here, each once. */
  references(): readonly (BlobReference & { readonly id: BlobId })[] {
    return [...this.#entries.values()].flatMap(({ id, state }) =>
      state.references.map((reference) => ({ ...reference, id })),
    );
  }

  async unrefer(id: BlobId, jobIds: ReadonlySet<string>): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const references = entry.state.references.filter(({ jobId }) => !jobIds.has(jobId));
    if (references.length === entry.state.references.length) return;
    entry.update({ references });
    await entry.save();
  }

  /** G4 Ends the references whose time has passed. */
  async unreferOld(): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const isOver = ({ untilMs }: BlobReference) => untilMs !== null && untilMs <= nowMs;
    for (const { id, state } of [...this.#entries.values()]) {
      const over = state.references.filter(isOver);
      if (over.length > 0) await this.unrefer(id, new Set(over.map(({ jobId }) => jobId)));
    }
  }

  /** Gives it up, whatever names it. @returns whether it was here. */
  async remove(id: BlobId): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    this.#idle.delete(entry);
    this.#newest = undefined;
    await entry.close();
    await this.#disk.remove(id);
    return true;
  }

  /**
   * Gives it up because somebody asks for that, pinned or not.
   * @param isForced also where a job needs it. @returns how many bytes that freed.
   * @throws AspenError NOT_FOUND; CONFLICT while it is in use, or a job needs it: nothing is removed then.
   */
  async discard(id: BlobId, { isForced }: { readonly isForced: boolean }): Promise<number> {
    const entry = this.#get(id);
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
    const kept: KeptBlob[] = [...this.#entries.values()].map((entry) => entry.kept());
    const gone = collectable(kept, { nowMs: this.#clock.wallMs(), graceMs: this.#graceMs, neededBytes });
    for (const id of gone) await this.remove(id);
    if (gone.length > 0) this.#log.info({ count: gone.length }, 'blobs collected');
    return gone;
  }

  /** A file that is read chunk by chunk stays open between them. */
  async #idled(entry: BlobEntry): Promise<void> {
    this.#idle.delete(entry);
    if (this.#entries.get(entry.id) !== entry) return entry.close();
    this.#idle.add(entry);
    const [oldest] = this.#idle;
    if (this.#idle.size <= IDLE_FILES_LIMIT || oldest === undefined) return;
    this.#idle.delete(oldest);
    await oldest.close();
  }

  /** K3 @throws AspenError RESOURCE_EXHAUSTED */
  async #makeRoom(bytes: number): Promise<void> {
    if (this.usedBytes + bytes > this.#quotaBytes)
      await this.collect(this.usedBytes + bytes - this.#quotaBytes);
    if (this.usedBytes + bytes <= this.#quotaBytes && this.#entries.size < BLOBS_LIMIT) return;
    throw new AspenError(
      'RESOURCE_EXHAUSTED',
      `no room for ${bytes} bytes: blobs of this node have ${this.usedBytes} of ${this.#quotaBytes} bytes and are ${this.#entries.size} of ${BLOBS_LIMIT}; ` +
        'unpin what is not needed (aspen-agent blob list, blob unpin), or set blobQuota in aspen.yaml',
      { details: { limit: 'blobQuota' } },
    );
  }

  /** An upload has ended in a blob. Those of the same bytes end one after the other. */
  #keep(ended: EndedUpload, options: KeepOptions): Promise<BlobStat> {
    const kept = (this.#keeping.get(ended.id) ?? Promise.resolve()).then(() => this.#keepNow(ended, options));
    const turn = kept.then(
      () => undefined,
      () => undefined, // who asked is told
    );
    this.#keeping.set(ended.id, turn);
    void turn.then(() => {
      if (this.#keeping.get(ended.id) === turn) this.#keeping.delete(ended.id);
    });
    return kept;
  }

  async #keepNow({ name, manifest, id }: EndedUpload, options: KeepOptions): Promise<BlobStat> {
    const known = this.#entries.get(id);
    if (known?.state.chunks.isFull === true) {
      await this.#disk.remove(name);
      known.update({ origin: 'added' });
      await this.#change(known, options);
      return known.stat();
    }
    const chunks = ChunkSet.full(chunkCountOf(manifest.sizeBytes));
    const state = this.#newState(manifest.sizeBytes, { origin: 'added', chunks, options });
    await this.#disk.writeAtomic(name, 'manifest', encodeManifest(manifest));
    await this.#disk.writeAtomic(name, 'state', encodeState(state));
    if (known !== undefined) await this.remove(id);
    await this.#disk.rename(name, id); // K1: it is there from here on
    const entry = new BlobEntry(this.#parts, id, state, manifest);
    this.#entries.set(id, entry);
    this.#newest = undefined;
    return entry.stat();
  }

  async #change(entry: BlobEntry, { isPinned, name, jobId, keptForMs }: KeepOptions): Promise<void> {
    const { state } = entry;
    const isKnown = jobId === undefined || state.references.some((reference) => reference.jobId === jobId);
    entry.update({
      usedAtMs: this.#clock.wallMs(),
      isPinned: state.isPinned || isPinned === true,
      name: state.name ?? name?.slice(0, BLOB_NAME_LIMIT) ?? null,
      ...(!isKnown && { references: this.#referencesWith(state.references, { jobId, keptForMs }) }),
    });
    await entry.save();
  }

  /** The newest stay, where there are more than are kept. */
  #referencesWith(
    references: readonly BlobReference[],
    { jobId, keptForMs }: { readonly jobId: string; readonly keptForMs: number | undefined },
  ): readonly BlobReference[] {
    const sinceMs = this.#clock.wallMs();
    const untilMs = keptForMs === undefined ? null : sinceMs + keptForMs;
    return [...references, { jobId, sinceMs, untilMs }].slice(-REFERENCES_LIMIT);
  }

  #newState(
    sizeBytes: number,
    { origin, chunks, options }: Pick<BlobState, 'origin' | 'chunks'> & { readonly options: KeepOptions },
  ): BlobState {
    const nowMs = this.#clock.wallMs();
    const { isPinned = false, name, jobId, keptForMs } = options;
    return {
      sizeBytes,
      addedAtMs: nowMs,
      usedAtMs: nowMs,
      isPinned,
      origin,
      name: name?.slice(0, BLOB_NAME_LIMIT) ?? null,
      references: jobId === undefined ? [] : this.#referencesWith([], { jobId, keptForMs }),
      chunks,
    };
  }

  /** @returns undefined where what is there is no blob, or not as much of it as it says. */
  async #load(id: BlobId): Promise<BlobEntry | undefined> {
    const bytes = await this.#disk.read(id, 'state');
    const state = bytes === undefined ? undefined : decodeState(bytes);
    if (state === undefined) return undefined;
    if (state.chunks.isFull && (await this.#disk.dataBytes(id)) !== state.sizeBytes) return undefined;
    return new BlobEntry(this.#parts, id, state, undefined);
  }

  async #readManifest(id: BlobId): Promise<Manifest> {
    const bytes = await this.#disk.read(id, 'manifest');
    try {
      if (bytes !== undefined) return readManifest(this.#crypto, id, bytes);
    } catch (cause) {
      if (!(cause instanceof AspenError)) throw cause;
      this.#log.warn({ err: cause, id }, 'a manifest on the disk is damaged');
    }
    this.#damagedCount += 1;
    await this.remove(id);
    throw new AspenError('NOT_FOUND', `what this node kept of blob ${id} is damaged and was given up`);
  }

  #get(id: BlobId): BlobEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new AspenError('NOT_FOUND', `this node has no blob ${id}`);
    return entry;
  }
}
