import {
  PRIORITIES,
  priorityKind,
  SEGMENT_BYTES_LEAST,
  SEGMENT_BYTES_LIMIT,
  SEGMENT_HEADER_BYTES,
  writeSegmentHeader,
} from './frame-codec.ts';
import { FRAME_BYTES_LIMIT, type Priority } from './transport.ts';

export interface FrameQueueOptions {
  /** Most bytes waiting, for each priority by itself. Unit: bytes. @default 16 MiB */
  readonly queueBytesLimit?: number;
}

interface Lane {
  readonly kind: number;
  frames: Uint8Array[];
  /** Index of the frame that is next, and how much of it has left already. */
  next: number;
  sentBytes: number;
  waitingBytes: number;
}

const BULK = priorityKind('bulk');
/** How many bytes leave at once; whatever is urgent waits for no more than this. */
const BATCH_BYTES = SEGMENT_BYTES_LIMIT + SEGMENT_HEADER_BYTES;
/** A fuller batch leaves in the buffer that it was written to. Unit: bytes. */
const FULL_BYTES = BATCH_BYTES / 2;
/** A lane gives back the memory of frames that left when so many have. */
const COMPACT_AFTER_FRAMES = 1_024;

/** Frames of one channel that wait to be sent, the most urgent first. Many small ones leave as one batch. */
export class FrameQueue {
  readonly #queueBytesLimit: number;
  readonly #lanes: readonly Lane[] = PRIORITIES.map((priority) => ({
    kind: priorityKind(priority),
    frames: [],
    next: 0,
    sentBytes: 0,
    waitingBytes: 0,
  }));
  #batch: Uint8Array = new Uint8Array(BATCH_BYTES);

  constructor({ queueBytesLimit = 16 * 2 ** 20 }: FrameQueueOptions = {}) {
    this.#queueBytesLimit = queueBytesLimit;
  }

  get isEmpty(): boolean {
    return this.#lanes.every((lane) => lane.next === lane.frames.length);
  }

  /** @param frame not changed by the caller afterwards. @returns false when it does not fit; then it was not taken. */
  push(frame: Uint8Array, priority: Priority): boolean {
    const lane = this.#lanes[priorityKind(priority)] as Lane;
    const bytes = frame.length + SEGMENT_HEADER_BYTES;
    if (frame.length > FRAME_BYTES_LIMIT || lane.waitingBytes + bytes > this.#queueBytesLimit) return false;
    lane.frames.push(frame);
    lane.waitingBytes += bytes;
    return true;
  }

  /**
   * @param bulkBytes of frames that can wait, how much may leave now. @default all
   * @returns whole segments, about {@link SEGMENT_BYTES_LIMIT} bytes; undefined when nothing may leave.
   */
  takeBatch(bulkBytes: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    let used = 0;
    for (const lane of this.#lanes) {
      let leftBytes = lane.kind === BULK ? bulkBytes : Number.POSITIVE_INFINITY;
      while (lane.next < lane.frames.length) {
        const segmentBytes = this.#nextSegmentBytes(lane, leftBytes);
        if (segmentBytes === undefined) break;
        leftBytes -= segmentBytes;
        if (used > 0 && used + SEGMENT_HEADER_BYTES + segmentBytes > BATCH_BYTES) return this.#finish(used);
        this.#writeSegment(lane, used, segmentBytes);
        used += SEGMENT_HEADER_BYTES + segmentBytes;
      }
    }
    return used === 0 ? undefined : this.#finish(used);
  }

  /** @returns undefined where so little may leave that nothing does. */
  #nextSegmentBytes(lane: Lane, mostBytes: number): number | undefined {
    const frame = lane.frames[lane.next] as Uint8Array;
    const bytes = Math.min(frame.length - lane.sentBytes, SEGMENT_BYTES_LIMIT);
    if (bytes <= mostBytes) return bytes;
    return mostBytes < SEGMENT_BYTES_LEAST ? undefined : mostBytes;
  }

  #writeSegment(lane: Lane, at: number, payloadBytes: number): void {
    const frame = lane.frames[lane.next] as Uint8Array;
    const end = lane.sentBytes + payloadBytes;
    const isLast = end === frame.length;
    writeSegmentHeader(this.#batch, at, { kind: lane.kind, isLast, payloadBytes });
    this.#batch.set(frame.subarray(lane.sentBytes, end), at + SEGMENT_HEADER_BYTES);
    lane.sentBytes = end;
    if (isLast) this.#frameLeft(lane, frame.length);
  }

  #frameLeft(lane: Lane, frameBytes: number): void {
    lane.waitingBytes -= frameBytes + SEGMENT_HEADER_BYTES;
    lane.sentBytes = 0;
    lane.next += 1;
    if (lane.next === lane.frames.length) {
      lane.frames = [];
      lane.next = 0;
    } else if (lane.next >= COMPACT_AFTER_FRAMES) {
      lane.frames = lane.frames.slice(lane.next);
      lane.next = 0;
    }
  }

  /** What leaves is the receiver's: a copy, or the buffer itself where that is well used. */
  #finish(used: number): Uint8Array {
    if (used < FULL_BYTES) return this.#batch.slice(0, used);
    const full = this.#batch.subarray(0, used);
    this.#batch = new Uint8Array(BATCH_BYTES);
    return full;
  }
}
