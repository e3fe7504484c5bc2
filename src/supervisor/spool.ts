import type { OutputStream } from './runner.ts';

export interface SpoolChunk {
  readonly stream: OutputStream;
  /** Of its first byte. */
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface SpoolPage {
  readonly chunks: readonly SpoolChunk[];
  /** Where to read on. */
  readonly nextOffset: number;
}

/** Writes down the output of one attempt, both streams in one offset space, in order of arrival. */
export interface SpoolWriter {
  /** Bytes that can be read. */
  readonly writtenBytes: number;
  /** Bytes that were given and cannot be read yet. */
  readonly pendingBytes: number;
  /** Why it keeps nothing more, e.g. a full disk; null while it does. */
  readonly fault: string | null;
  append(stream: OutputStream, bytes: Uint8Array): void;
  /** Resolves when all that was given is written, or never will be. */
  flushed(): Promise<void>;
  /** Nothing more comes. */
  end(): Promise<void>;
}

/** Keeps the output of attempts, each under a key of any characters. */
export interface Spool {
  /** Begins anew what there was under the key. `onWritten` is told when there is more to read. */
  create(key: string, onWritten: () => void): SpoolWriter;
}

/**
 * Where the whole output of attempts lies, of ended ones too.
 * Whatever keeps it drops the oldest by limits of its own; a record's head and tail do not depend on it.
 */
export interface OutputArchive {
  /** @param into where the bytes of the page may lie. @returns null when it has none under the key, or no longer. */
  read(key: string, fromOffset: number, bytesLimit: number, into?: Uint8Array): Promise<SpoolPage | null>;
}

/** Where the output of a stream begins, as its writer notes it whenever the stream changes. */
export interface Segment {
  readonly stream: OutputStream;
  readonly startOffset: number;
}

/** @param segments in order, the first at 0. @returns the bytes from `offset` on as chunks of one stream each. */
export function splitBySegments(
  segments: readonly Segment[],
  offset: number,
  bytes: Uint8Array,
): readonly SpoolChunk[] {
  const chunks: SpoolChunk[] = [];
  const end = offset + bytes.length;
  for (let at = segmentAt(segments, offset), from = offset; from < end; at += 1) {
    const until = Math.min(end, segments[at + 1]?.startOffset ?? end);
    const data = bytes.subarray(from - offset, until - offset);
    if (data.length > 0) chunks.push({ stream: segments[at]?.stream ?? 'stdout', offset: from, data });
    from = Math.max(from, until);
  }
  return chunks;
}

/** @returns the index of the last segment that begins at or before `offset`; 0 where none does. */
function segmentAt(segments: readonly Segment[], offset: number): number {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((segments[middle]?.startOffset ?? Number.POSITIVE_INFINITY) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
