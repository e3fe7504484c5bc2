/** How a blob is cut: every chunk is this long, the last one may be shorter. Unit: bytes. */
export const CHUNK_BYTES = 256 * 2 ** 10;

/** Chunks of one blob; their digests travel in one frame. */
export const CHUNKS_LIMIT = 65_536;

/** Unit: bytes; 16 GiB. */
export const BLOB_BYTES_LIMIT = CHUNK_BYTES * CHUNKS_LIMIT;

/** @returns how many chunks a blob has; an empty blob has one, which is empty. */
export function chunkCountOf(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / CHUNK_BYTES));
}

/** @returns how long a chunk is. Unit: bytes. */
export function chunkBytesOf(sizeBytes: number, index: number): number {
  return Math.max(0, Math.min(CHUNK_BYTES, sizeBytes - index * CHUNK_BYTES));
}

/** Which chunks of a blob are there: one bit each, the first is the lowest of the first byte. */
export class ChunkSet {
  readonly limit: number;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(limit: number) {
    this.limit = limit;
    this.#bits = new Uint8Array(Math.ceil(limit / 8));
  }

  static full(limit: number): ChunkSet {
    const set = new ChunkSet(limit);
    for (let index = 0; index < limit; index += 1) set.add(index);
    return set;
  }

  /** @returns undefined where the bytes are no set of that many chunks. */
  static fromBytes(bytes: Uint8Array, limit: number): ChunkSet | undefined {
    if (bytes.length !== Math.ceil(limit / 8)) return undefined;
    const set = new ChunkSet(limit);
    for (let index = 0; index < limit; index += 1)
      if (((bytes[index >> 3] as number) & (1 << (index & 7))) !== 0) set.add(index);
    return set;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.limit;
  }

  has(index: number): boolean {
    return index < this.limit && ((this.#bits[index >> 3] as number) & (1 << (index & 7))) !== 0;
  }

  add(index: number): void {
    if (index >= this.limit || this.has(index)) return;
    this.#bits[index >> 3] = (this.#bits[index >> 3] as number) | (1 << (index & 7));
    this.#count += 1;
  }

  delete(index: number): void {
    if (!this.has(index)) return;
    this.#bits[index >> 3] = (this.#bits[index >> 3] as number) & ~(1 << (index & 7));
    this.#count -= 1;
  }

  /** In order. */
  *missing(): Generator<number> {
    for (let index = 0; index < this.limit; index += 1) if (!this.has(index)) yield index;
  }

  toBytes(): Uint8Array {
    return this.#bits.slice();
  }
}
