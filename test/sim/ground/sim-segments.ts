import { SECTOR_BYTES } from '../../../src/storage/journal-record.ts';

/** The two files of a journal as they are on a simulated disk. */
export class SimSegments {
  readonly segmentBytes: number;
  #files: [Buffer, Buffer] | undefined;

  /** @param segmentBytes short, so that a story fills many of them. */
  constructor(segmentBytes: number) {
    this.segmentBytes = segmentBytes;
  }

  /** @returns whether there were none. */
  make(): boolean {
    if (this.#files !== undefined) return false;
    this.#files = [Buffer.alloc(this.segmentBytes), Buffer.alloc(this.segmentBytes)];
    return true;
  }

  remove(): void {
    this.#files = undefined;
  }

  read(segment: number): Buffer {
    return Buffer.from(this.#file(segment));
  }

  /** Where the files were removed, whoever has them open still writes to nothing. @param isKept asked for each sector that the bytes touch. */
  write(segment: number, bytes: Uint8Array, at: number, isKept: () => boolean): void {
    const file = this.#files?.[segment];
    if (file === undefined) return;
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES), bytes.length);
      if (isKept()) file.set(bytes.subarray(from, to), at + from);
      from = to;
    }
  }

  /** @returns up to where a segment holds anything; 0 for an empty one. Unit: bytes. */
  usedBytes(segment: number): number {
    const file = this.#files?.[segment];
    if (file === undefined) return 0;
    let end = file.length;
    while (end > 0 && file[end - 1] === 0) end -= 1;
    return end;
  }

  clone(): SimSegments {
    const copy = new SimSegments(this.segmentBytes);
    if (this.#files !== undefined) copy.#files = [Buffer.from(this.#files[0]), Buffer.from(this.#files[1])];
    return copy;
  }

  #file(segment: number): Buffer {
    const file = this.#files?.[segment];
    if (file === undefined) throw new Error('there is no journal on this disk');
    return file;
  }
}
