import { type Clock, Listeners, SlotMap } from '../../base/index.ts';
import type { OutputArchive, OutputStream } from '../../supervisor/index.ts';
import { ByAttempt } from '../by-attempt.ts';
import type { OutputSink, OutputSource } from './executor.ts';

/**
 * The output of the attempts of one node: in memory, or where whoever runs an attempt keeps it, and then nothing of it is in memory and nobody is
 * held up.
 *
 * - O1 An attempt has one offset space: bytes of both streams in order of arrival, from 0.
 * - O2 Memory is bounded: an attempt keeps its latest bytes; of ended attempts the latest are kept. A reader is told the first kept offset.
 * - O4 Who follows an attempt gets all of it: a writer that is half a ring ahead is held up, but not by a follower that stands still, and
 *   only at its beginning by nobody at all, since followers come a moment later.
 * - O3 What was read never changes: chunks hold copies, and a page may begin and end within one.
 */
export interface OutputChunk {
  readonly stream: OutputStream;
  /** Of its first byte. */
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface OutputStoreOptions {
  /** Kept of one attempt. Unit: bytes. @default 1 MiB */
  readonly attemptLimitBytes?: number;
  /** Ended attempts that are kept. @default 256 */
  readonly endedLimit?: number;
  /** Kept of all ended attempts together. Unit: bytes. @default 64 MiB */
  readonly endedLimitBytes?: number;
  /** Without a clock nobody is held up. */
  readonly clock?: Clock;
  /** Where output lies that this agent does not remember. */
  readonly archive?: OutputArchive;
}

export interface AttemptName {
  readonly jobId: string;
  readonly attempt: number;
}

export interface OutputRead extends AttemptName {
  readonly fromOffset: number;
  readonly bytesLimit: number;
}

export interface OutputPage {
  readonly chunks: readonly OutputChunk[];
  /** Where to read on. */
  readonly nextOffset: number;
  /** True when the attempt has ended and nothing follows `nextOffset`. */
  readonly isEnded: boolean;
  /** First kept offset; greater than `fromOffset` when older output was dropped. */
  readonly firstOffset: number;
}

export interface AttemptOutput extends OutputSink {
  /** No more will come. */
  end(): void;
}

const DEFAULTS = {
  attemptLimitBytes: 1024 * 1024,
  endedLimit: 256,
  endedLimitBytes: 64 * 1024 * 1024,
} as const;

/** How long a writer waits for its first follower. Unit: ms. */
const START_PATIENCE_MS = 500;
/** How long a writer waits for a follower that does not read on. Unit: ms. */
const FOLLOWER_PATIENCE_MS = 10_000;

/** Small writes are joined into one chunk up to this, so that a chunk's overhead is bounded too. Unit: bytes. */
const JOINED_CHUNK_BYTES = 4 * 1024;

export class OutputStore {
  readonly #options: Required<Omit<OutputStoreOptions, 'clock' | 'archive'>>;
  readonly #archive: OutputArchive | undefined;
  readonly #ringParts: RingParts;
  readonly #attempts = new ByAttempt<AttemptRing>(
    ({ name }) => name.jobId,
    ({ name }) => name.attempt,
  );
  /** Those that have ended, the first to end first, by their number among all that ever did. */
  readonly #ended = new SlotMap<number, AttemptRing>();
  #endedCount = 0;
  /** None that is kept has a lesser number. */
  #firstEnded = 1;
  #endedBytes = 0;

  constructor(options: OutputStoreOptions = {}) {
    const { clock, archive, ...limits } = options;
    this.#archive = archive;
    this.#options = { ...DEFAULTS, ...limits };
    this.#ringParts = {
      limitBytes: this.#options.attemptLimitBytes,
      clock,
      onEnd: (ring) => this.#onEnd(ring),
    };
  }

  /** Opening an attempt again begins it anew. */
  open(jobId: string, attempt: number): AttemptOutput {
    const before = this.#attempts.find(jobId, attempt);
    if (before !== undefined) this.#forget(before);
    const ring = new AttemptRing({ jobId, attempt }, this.#ringParts);
    this.#attempts.set(ring);
    return ring;
  }

  /** @returns null when this node does not have the attempt's output, or no longer. */
  read(request: OutputRead): OutputPage | null {
    return this.#find(request)?.read(request.fromOffset, request.bytesLimit) ?? null;
  }

  /** Like `read`, but waits up to `waitMs` until there is something to read. @throws the signal's reason when it aborts. */
  async waitForMore(
    request: OutputRead & { readonly waitMs: number },
    clock: Clock,
    signal?: AbortSignal,
  ): Promise<OutputPage | null> {
    signal?.throwIfAborted();
    const ring = this.#find(request);
    if (ring === undefined) return this.#readArchive(request);
    const isReady = () => ring.isEnded || ring.nextOffset > request.fromOffset;
    if (!isReady() && request.waitMs > 0) await ring.changed(request.waitMs, clock, signal);
    if (ring.source !== undefined) return this.#readSource(ring, ring.source, request);
    const page = ring.read(request.fromOffset, request.bytesLimit);
    if (request.waitMs > 0) ring.followed(page.nextOffset);
    return page;
  }

  async #readSource(
    ring: AttemptRing,
    source: OutputSource,
    { fromOffset, bytesLimit }: OutputRead,
  ): Promise<OutputPage> {
    const hasEnded = ring.isEnded; // looked at before the read, so that nothing comes after the page that says so
    const { chunks, nextOffset } = await source.readOutput(fromOffset, bytesLimit);
    const isEnded = hasEnded && nextOffset >= source.outputBytes;
    return { chunks, nextOffset, isEnded, firstOffset: 0 };
  }

  async #readArchive({ jobId, attempt, fromOffset, bytesLimit }: OutputRead): Promise<OutputPage | null> {
    const page = await this.#archive?.read(outputKeyOf({ jobId, attempt }), fromOffset, bytesLimit);
    if (page == null) return null;
    const { chunks, nextOffset } = page;
    return { chunks, nextOffset, isEnded: nextOffset - fromOffset < bytesLimit, firstOffset: 0 };
  }

  #find({ jobId, attempt }: AttemptName): AttemptRing | undefined {
    return this.#attempts.find(jobId, attempt);
  }

  #onEnd(ring: AttemptRing): void {
    if (!ring.isKept) return;
    this.#endedCount += 1;
    ring.endedAs = this.#endedCount;
    this.#ended.set(ring.endedAs, ring);
    this.#endedBytes += ring.keptBytes;
    this.#dropOldEnded();
  }

  /** O2. By number: who looks through a map for its first entry passes all that were deleted before it. */
  #dropOldEnded(): void {
    const { endedLimit, endedLimitBytes } = this.#options;
    for (; this.#firstEnded <= this.#endedCount; this.#firstEnded += 1) {
      if (this.#ended.size <= endedLimit && this.#endedBytes <= endedLimitBytes) return;
      const oldest = this.#ended.get(this.#firstEnded);
      if (oldest !== undefined) this.#forget(oldest);
    }
  }

  #forget(ring: AttemptRing): void {
    ring.isKept = false;
    this.#attempts.delete(ring.name.jobId, ring.name.attempt);
    if (ring.endedAs !== null && this.#ended.delete(ring.endedAs)) this.#endedBytes -= ring.keptBytes;
    else ring.end();
  }
}

/** @returns what the output of an attempt is kept under where it is kept over restarts. */
export function outputKeyOf({ jobId, attempt }: AttemptName): string {
  return `${jobId}/${attempt}`;
}

interface RingParts {
  readonly limitBytes: number;
  readonly clock: Clock | undefined;
  readonly onEnd: (ring: AttemptRing) => void;
}

/** There is one for each attempt, and most stay empty. */
class AttemptRing implements AttemptOutput {
  readonly name: AttemptName;
  readonly #parts: RingParts;
  readonly #startedMs: number;
  /** When a follower last read on; null before the first. */
  #followedMs: number | null = null;
  #followedTo = 0;
  /** Made when somebody first listens. */
  #reads: Listeners<void> | undefined;
  #changes: Listeners<void> | undefined;
  #chunks: OutputChunk[] = [];
  isEnded = false;
  /** Its store still knows of it. */
  isKept = true;
  /** Its number among those that have ended. */
  endedAs: number | null = null;
  /** Who has the output instead of this ring. */
  source: OutputSource | undefined;
  #nextOffset = 0;
  firstOffset = 0;

  constructor(name: AttemptName, parts: RingParts) {
    this.name = name;
    this.#parts = parts;
    this.#startedMs = parts.clock?.monotonicMs() ?? 0;
  }

  get nextOffset(): number {
    return this.source?.outputBytes ?? this.#nextOffset;
  }

  get keptBytes(): number {
    return this.#nextOffset - this.firstOffset;
  }

  attach(source: OutputSource): void {
    this.source = source;
    source.onOutput(() => this.#changes?.emit());
    this.#changes?.emit();
  }

  write(stream: OutputStream, bytes: Uint8Array): void {
    if (this.isEnded || bytes.length === 0) return;
    const last = this.#chunks.at(-1);
    if (last?.stream === stream && last.data.length + bytes.length <= JOINED_CHUNK_BYTES) {
      const data = new Uint8Array(last.data.length + bytes.length);
      data.set(last.data);
      data.set(bytes, last.data.length);
      this.#chunks[this.#chunks.length - 1] = { ...last, data };
    } else {
      this.#chunks.push({ stream, offset: this.nextOffset, data: bytes.slice() });
    }
    this.#nextOffset += bytes.length;
    this.#dropOldest();
    this.#changes?.emit();
  }

  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#changes?.emit();
    this.#parts.onEnd(this);
  }

  read(fromOffset: number, bytesLimit: number): OutputPage {
    const from = Math.max(fromOffset, this.firstOffset);
    const until = Math.min(from + bytesLimit, this.nextOffset);
    const chunks = this.#chunks.flatMap((chunk) => cut(chunk, from, until));
    const nextOffset = Math.max(from, until);
    const isEnded = this.isEnded && nextOffset >= this.nextOffset;
    return { chunks, nextOffset, isEnded, firstOffset: this.firstOffset };
  }

  changed(waitMs: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        timer.cancel();
        subscription[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = () => end(() => reject(signal?.reason));
      this.#changes ??= new Listeners<void>();
      const subscription = this.#changes.add(() => end(resolve));
      const timer = clock.setTimer(waitMs, () => end(resolve));
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** O4 */
  followed(to: number): void {
    if (to > this.#followedTo || this.#followedMs === null)
      this.#followedMs = this.#parts.clock?.monotonicMs() ?? 0;
    this.#followedTo = Math.max(this.#followedTo, to);
    this.#reads?.emit();
  }

  /** O4 */
  whenRoom(): Promise<void> | undefined {
    const waitMs = this.#patienceMs();
    return this.#parts.clock === undefined || waitMs <= 0
      ? undefined
      : this.#untilRoom(this.#parts.clock, waitMs);
  }

  async #untilRoom(clock: Clock, waitMs: number): Promise<void> {
    for (let leftMs = waitMs; leftMs > 0; leftMs = this.#patienceMs()) {
      await new Promise<void>((resolve) => {
        const end = () => {
          timer.cancel();
          for (const part of parts) part[Symbol.dispose]();
          resolve();
        };
        const timer = clock.setTimer(leftMs, end);
        this.#reads ??= new Listeners<void>();
        this.#changes ??= new Listeners<void>();
        const parts = [this.#reads.add(end), this.#changes.add(() => this.isEnded && end())];
      });
    }
  }

  /** @returns how much longer a writer should wait; 0 when it may go on. Unit: ms. */
  #patienceMs(): number {
    if (this.source !== undefined || this.isEnded) return 0;
    if (this.nextOffset - this.#followedTo < this.#parts.limitBytes / 2) return 0;
    const untilMs =
      this.#followedMs === null
        ? this.#startedMs + START_PATIENCE_MS
        : this.#followedMs + FOLLOWER_PATIENCE_MS;
    return untilMs - (this.#parts.clock?.monotonicMs() ?? untilMs);
  }

  /** O2. Drops whole chunks, and cuts the one that would leave more than the limit. */
  #dropOldest(): void {
    const first = this.nextOffset - this.#parts.limitBytes;
    if (first <= this.firstOffset) return;
    let dropped = 0;
    while (endOf(this.#chunks[dropped]) <= first) dropped += 1;
    if (dropped > 0) this.#chunks.splice(0, dropped);
    const [oldest] = this.#chunks;
    if (oldest !== undefined && oldest.offset < first) {
      this.#chunks[0] = { ...oldest, offset: first, data: oldest.data.slice(first - oldest.offset) };
    }
    this.firstOffset = first;
  }
}

const endOf = (chunk: OutputChunk | undefined) =>
  chunk === undefined ? Number.POSITIVE_INFINITY : chunk.offset + chunk.data.length;

/** @returns the part of the chunk within [from, until), if any. */
function cut(chunk: OutputChunk, from: number, until: number): OutputChunk[] {
  const start = Math.max(chunk.offset, from);
  const end = Math.min(endOf(chunk), until);
  if (start >= end) return [];
  const data = chunk.data.subarray(start - chunk.offset, end - chunk.offset);
  return [{ stream: chunk.stream, offset: start, data }];
}
