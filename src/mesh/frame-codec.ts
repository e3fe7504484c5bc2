import { AspenError } from '../base/index.ts';
import { FRAME_BYTES_LIMIT, type Priority } from './transport.ts';

/**
 * How frames travel on a byte stream: cut into segments, each with a header of four bytes (what it is, and its length in 24 bits),
 * so that a long frame of a later priority waits between segments instead of holding up a short one of an earlier priority.
 *
 * - N1 The segments of one frame keep their order, and frames of one priority do not mix: the last segment carries the flag.
 * - N2 Nobody makes us hold more than one frame of {@link FRAME_BYTES_LIMIT} bytes per priority, in few parts: each segment of a frame but the
 *   last has {@link SEGMENT_BYTES_LEAST} bytes or more.
 */
export const SEGMENT_HEADER_BYTES = 4;
/** What an encrypted message has at most, but for its tag (16), the header of its stream (12), and its own: so it needs no second one. Unit: bytes. */
export const SEGMENT_BYTES_LIMIT = 65_535 - 16 - 12 - SEGMENT_HEADER_BYTES;
/** Unit: bytes. */
export const SEGMENT_BYTES_LEAST = 4 * 2 ** 10;
/** A segment that is longer leaves in the buffer where it was put together. Unit: bytes. */
const LONG_SEGMENT_BYTES = SEGMENT_BYTES_LIMIT / 2;

/** From the most to the least urgent. */
export const PRIORITIES: readonly Priority[] = ['raft', 'control', 'bulk'];

/** Segments that are no part of a frame: the channel's own talk. */
export type Signal = 'hello' | 'ping' | 'pong';

const LAST_SEGMENT = 0x80;
const KIND_MASK = 0x7f;
const SIGNALS: readonly Signal[] = ['hello', 'ping', 'pong'];
const FIRST_SIGNAL_KIND = 16;

export function priorityKind(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

/** Writes the header of a segment. @param payloadBytes at most {@link SEGMENT_BYTES_LIMIT}. */
export function writeSegmentHeader(
  target: Uint8Array,
  at: number,
  { kind, isLast, payloadBytes }: { kind: number; isLast: boolean; payloadBytes: number },
): void {
  target[at] = isLast ? kind | LAST_SEGMENT : kind;
  target[at + 1] = payloadBytes >>> 16;
  target[at + 2] = (payloadBytes >>> 8) & 0xff;
  target[at + 3] = payloadBytes & 0xff;
}

/** @returns a whole segment. */
export function signalSegment(signal: Signal, payload: Uint8Array): Uint8Array {
  const segment = new Uint8Array(SEGMENT_HEADER_BYTES + payload.length);
  const kind = FIRST_SIGNAL_KIND + SIGNALS.indexOf(signal);
  writeSegmentHeader(segment, 0, { kind, isLast: true, payloadBytes: payload.length });
  segment.set(payload, SEGMENT_HEADER_BYTES);
  return segment;
}

export interface FrameSink {
  /** The bytes are the sink's; they may share a buffer with others. */
  frame(frame: Uint8Array): void;
  signal(signal: Signal, payload: Uint8Array): void;
}

interface Unfinished {
  parts: Uint8Array[];
  bytes: number;
}

/** Turns the chunks of a stream back into frames. After it threw, the stream is beyond repair. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  /** A segment that is not whole yet. */
  #partial = new Uint8Array(SEGMENT_HEADER_BYTES + SEGMENT_BYTES_LIMIT);
  #partialBytes = 0;
  readonly #unfinished: readonly Unfinished[] = PRIORITIES.map(() => ({ parts: [], bytes: 0 }));

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws AspenError INVALID_REQUEST when the bytes are no segments, or a frame is too long. */
  push(chunk: Uint8Array): void {
    let at = this.#completePartial(chunk);
    while (chunk.length - at >= SEGMENT_HEADER_BYTES) {
      const end = at + SEGMENT_HEADER_BYTES + payloadBytesAt(chunk, at);
      if (end > chunk.length) break;
      this.#accept(chunk[at] as number, chunk.subarray(at + SEGMENT_HEADER_BYTES, end));
      at = end;
    }
    if (at < chunk.length) this.#stash(chunk.subarray(at));
  }

  /** @returns how much of the chunk was needed to complete the segment begun in an earlier one. */
  #completePartial(chunk: Uint8Array): number {
    if (this.#partialBytes === 0) return 0;
    let at = this.#fill(chunk, 0, SEGMENT_HEADER_BYTES);
    if (this.#partialBytes < SEGMENT_HEADER_BYTES) return at;
    const end = SEGMENT_HEADER_BYTES + payloadBytesAt(this.#partial, 0);
    at = this.#fill(chunk, at, end);
    if (this.#partialBytes < end) return at;
    this.#partialBytes = 0;
    const payload = this.#partial.subarray(SEGMENT_HEADER_BYTES, end);
    const isLong = payload.length > LONG_SEGMENT_BYTES;
    const flags = this.#partial[0] as number;
    if (isLong) this.#partial = new Uint8Array(this.#partial.length);
    this.#accept(flags, isLong ? payload : payload.slice());
    return at;
  }

  /** Copies from the chunk until the partial segment has `untilBytes`. @returns where the chunk goes on. */
  #fill(chunk: Uint8Array, at: number, untilBytes: number): number {
    const taken = chunk.subarray(at, at + Math.max(0, untilBytes - this.#partialBytes));
    this.#stash(taken);
    return at + taken.length;
  }

  #stash(bytes: Uint8Array): void {
    this.#partial.set(bytes, this.#partialBytes);
    this.#partialBytes += bytes.length;
  }

  #accept(flags: number, payload: Uint8Array): void {
    const kind = flags & KIND_MASK;
    const isLast = (flags & LAST_SEGMENT) !== 0;
    const unfinished = this.#unfinished[kind];
    if (unfinished === undefined) {
      const signal = SIGNALS[kind - FIRST_SIGNAL_KIND];
      if (signal === undefined) throw new AspenError('INVALID_REQUEST', `no segment is of kind ${kind}`);
      this.#sink.signal(signal, payload);
    } else if (isLast && unfinished.bytes === 0) {
      this.#sink.frame(payload);
    } else {
      this.#gather(unfinished, payload, isLast);
    }
  }

  #gather(unfinished: Unfinished, payload: Uint8Array, isLast: boolean): void {
    unfinished.bytes += payload.length;
    if (unfinished.bytes > FRAME_BYTES_LIMIT) {
      throw new AspenError('INVALID_REQUEST', `a frame is longer than ${FRAME_BYTES_LIMIT} bytes`); // N2
    }
    if (!isLast && payload.length < SEGMENT_BYTES_LEAST) {
      throw new AspenError(
        'INVALID_REQUEST',
        `a segment that others follow has ${SEGMENT_BYTES_LEAST} bytes or more`,
      ); // N2
    }
    const isSparse = payload.length < payload.buffer.byteLength / 2; // it would hold the rest of what it came in
    unfinished.parts.push(isSparse ? payload.slice() : payload);
    if (!isLast) return;
    const frame = concat(unfinished.parts, unfinished.bytes);
    unfinished.parts = [];
    unfinished.bytes = 0;
    this.#sink.frame(frame);
  }
}

function payloadBytesAt(bytes: Uint8Array, at: number): number {
  const payloadBytes =
    ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  if (payloadBytes > SEGMENT_BYTES_LIMIT) {
    throw new AspenError(
      'INVALID_REQUEST',
      `a segment of ${payloadBytes} bytes is longer than ${SEGMENT_BYTES_LIMIT}`,
    );
  }
  return payloadBytes;
}

function concat(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
