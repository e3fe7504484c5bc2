import type { OutputStream } from './runner.ts';
import type { OutputArchive, Segment, Spool, SpoolPage, SpoolWriter } from './spool.ts';
import { splitBySegments } from './spool.ts';

interface Kept {
  bytes: Uint8Array;
  readonly segments: Segment[];
}

/** Keeps output in memory: the twin of the files that real machines keep it in. */
export class MemorySpool implements Spool, OutputArchive {
  readonly #kept = new Map<string, Kept>();

  create(key: string, onWritten: () => void): SpoolWriter {
    const kept: Kept = { bytes: new Uint8Array(0), segments: [] };
    this.#kept.set(key, kept);
    return {
      get writtenBytes() {
        return kept.bytes.length;
      },
      pendingBytes: 0,
      fault: null,
      append: (stream: OutputStream, bytes: Uint8Array) => {
        if (kept.segments.at(-1)?.stream !== stream)
          kept.segments.push({ stream, startOffset: kept.bytes.length });
        const all = new Uint8Array(kept.bytes.length + bytes.length);
        all.set(kept.bytes);
        all.set(bytes, kept.bytes.length);
        kept.bytes = all;
        onWritten();
      },
      flushed: async () => undefined,
      end: async () => undefined,
    };
  }

  async read(key: string, fromOffset: number, bytesLimit: number): Promise<SpoolPage | null> {
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    const bytes = kept.bytes.subarray(fromOffset, fromOffset + bytesLimit);
    return {
      chunks: splitBySegments(kept.segments, fromOffset, bytes),
      nextOffset: fromOffset + bytes.length,
    };
  }
}
