import { OneByOne } from '../base/index.ts';
import type { BlobId } from './blob-id.ts';
import type { BlobStat } from './blob-stat.ts';
import { type BlobState, encodeState } from './blob-state.ts';
import { ChunkSet, chunkBytesOf } from './chunks.ts';
import type { KeptBlob } from './collection.ts';
import type { BlobDisk, DataFile } from './disk.ts';
import type { Manifest } from './manifest.ts';

/** Bytes of an open blob, closed when nobody uses them any more. */
type OpenData = Pick<DataFile, 'read' | 'write' | 'sync'> & AsyncDisposable;

export interface BlobEntryComponents {
  readonly disk: BlobDisk;
  /** Nobody uses its file any more, which is still open. */
  idle(entry: BlobEntry): Promise<void>;
}

/** One blob on the disk. Its state is saved one write at a time, the latest last. */
export class BlobEntry {
  readonly id: BlobId;
  manifest: Manifest | undefined;
  readonly #disk: BlobDisk;
  readonly #idle: (entry: BlobEntry) => Promise<void>;
  #state: BlobState;
  #heldBytes: number;
  #file: Promise<DataFile> | undefined;
  #users = 0;
  #holds = 0;
  readonly #saving = new OneByOne();
  /** Chunks that a crash does not take any more; only these are said to be there. */
  readonly #synced: ChunkSet;
  #isDirty = false;

  constructor(
    { disk, idle }: BlobEntryComponents,
    id: BlobId,
    state: BlobState,
    manifest: Manifest | undefined,
  ) {
    this.#disk = disk;
    this.#idle = idle;
    this.id = id;
    this.#state = state;
    this.manifest = manifest;
    this.#heldBytes = heldBytesOf(state.sizeBytes, state.chunks);
    this.#synced = copyOf(state.chunks);
  }

  get state(): BlobState {
    return this.#state;
  }

  /** What it takes of the quota, now or when it is whole. */
  get roomBytes(): number {
    return this.#state.sizeBytes;
  }

  stat(): BlobStat {
    const { chunks, references, ...state } = this.#state;
    return {
      id: this.id,
      ...state,
      heldBytes: this.#heldBytes,
      isComplete: chunks.isFull,
      jobs: references.map(({ jobId }) => jobId),
    };
  }

  kept(): KeptBlob {
    const { isPinned, origin, usedAtMs, references } = this.#state;
    return {
      id: this.id,
      heldBytes: this.roomBytes,
      isPinned,
      origin,
      usedAtMs,
      referenceCount: references.length,
      isInUse: this.#users > 0 || this.#holds > 0,
    };
  }

  update(change: Partial<Omit<BlobState, 'chunks' | 'sizeBytes'>>): void {
    this.#state = { ...this.#state, ...change };
  }

  /** Noted with the next save. */
  use(nowMs: number): void {
    this.#state = { ...this.#state, usedAtMs: nowMs };
  }

  gain(index: number): void {
    if (this.#state.chunks.has(index)) return;
    this.#state.chunks.add(index);
    this.#heldBytes += chunkBytesOf(this.#state.sizeBytes, index);
    this.#isDirty = true;
  }

  lose(index: number): void {
    if (!this.#state.chunks.has(index)) return;
    this.#state.chunks.delete(index);
    this.#synced.delete(index);
    this.#heldBytes -= chunkBytesOf(this.#state.sizeBytes, index);
  }

  hold(): Disposable {
    this.#holds += 1;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#holds -= 1;
        isHeld = false;
      },
    };
  }

  /** One file for all who use it at the same time. */
  async open(): Promise<OpenData> {
    this.#users += 1;
    this.#file ??= this.#disk.openData(this.id);
    const opening = this.#file;
    try {
      const file = await opening;
      return {
        read: (offset, lengthBytes) => file.read(offset, lengthBytes),
        write: (offset, bytes) => file.write(offset, bytes),
        sync: () => file.sync(),
        [Symbol.asyncDispose]: () => this.#release(),
      };
    } catch (error) {
      this.#users -= 1;
      if (this.#file === opening) this.#file = undefined;
      throw error;
    }
  }

  /** Syncs the bytes, then says which are there; what came in meanwhile is noted the next time. */
  async flush(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const written = copyOf(this.#state.chunks);
    await using data = await this.open();
    await data.sync();
    for (let index = 0; index < written.limit; index += 1)
      if (written.has(index) && this.#state.chunks.has(index)) this.#synced.add(index);
    await this.save();
  }

  /** Durable when it resolves. Chunks that are not synced yet are not said to be there. */
  async save(): Promise<void> {
    await this.#saving.run(() =>
      this.#disk.writeAtomic(this.id, 'state', encodeState({ ...this.#state, chunks: this.#synced })),
    );
  }

  /** Closes the file, unless somebody uses it. */
  async close(): Promise<void> {
    if (this.#users > 0 || this.#file === undefined) return;
    const closing = this.#file;
    this.#file = undefined;
    await (await closing)[Symbol.asyncDispose]();
  }

  async #release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#idle(this);
  }
}

function copyOf(chunks: ChunkSet): ChunkSet {
  return ChunkSet.fromBytes(chunks.toBytes(), chunks.limit) as ChunkSet;
}

function heldBytesOf(sizeBytes: number, chunks: ChunkSet): number {
  if (chunks.isFull) return sizeBytes;
  let bytes = 0;
  for (let index = 0; index < chunks.limit; index += 1)
    if (chunks.has(index)) bytes += chunkBytesOf(sizeBytes, index);
  return bytes;
}
