import {
  AspenError,
  ATTEMPT_SPAN_BYTES,
  attemptOfOffset,
  type Clock,
  type PeerId,
  sleep,
} from '../../base/index.ts';
import type { Requester } from '../../mesh/index.ts';
import { isInSpan, placeIn } from './output-place.ts';
import { OUTPUT_PAGE_LIMIT_BYTES, OUTPUT_WAIT_LIMIT_MS } from './output-server.ts';
import { pullOutput } from './output-source.ts';
import type { OutputChunk, OutputPage, OutputStore } from './output-store.ts';
import { type RecordedOutput, recordedOutput } from './recorded-output.ts';

/** What the group knows about a job, as far as its output is concerned. */
export interface LocatedJob {
  readonly state: string;
  readonly isFinal: boolean;
  /** Number of the latest attempt; 0 before the first. */
  readonly attempt: number;
  /** Where the latest attempt runs or ran. */
  readonly node: PeerId | null;
  /** Of the latest attempt, null where it has none. */
  readonly result: unknown;
}

export interface FollowComponents {
  readonly messenger: Requester;
  /** Of this node. */
  readonly store: OutputStore;
  readonly clock: Clock;
  readonly locate: (jobId: string) => Promise<LocatedJob>;
}

export interface FollowedChunk extends OutputChunk {
  readonly attempt: number;
  /** Of its first byte in the output of the job (F1). */
  readonly offset: number;
}

export interface FollowOptions {
  /** Wait for more until the job is final; otherwise end with what is there now. */
  readonly follow: boolean;
  /** In the output of the job: up to where it was read before. */
  readonly fromOffset: number;
  readonly signal: AbortSignal;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** Wait for the last bytes of a job that is final, on a node that has not ended its output. Unit: ms. */
const FINAL_WAIT_MS = 1_000;
/** Tries to reach the node of a final job of whose latest attempt a part was delivered. */
const FINAL_TRIES = 4;

/**
 * The output of a job, wherever it runs.
 *
 * - F1 Offsets only grow, and name their attempt (`base/output-offset.ts`). Who asks on from an attempt that another has followed is given the
 *   latest from its beginning, never from its middle.
 * - F2 The record's own text stands in for output that its node no longer has, where none of that attempt was read, or where the rest of it is
 *   known byte by byte. Where that is not the whole, it is said.
 *
 * Ends when the signal aborts. @throws AspenError UNAVAILABLE when a part was given, or nothing, and the rest is out of reach for good; what
 * `locate` throws, unless trying later can help and `follow` is set.
 */
export async function* followOutput(
  components: FollowComponents,
  jobId: string,
  options: FollowOptions,
): AsyncGenerator<FollowedChunk, void, undefined> {
  try {
    yield* new Follower(components, jobId, options).run();
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
}

class Follower {
  readonly #components: FollowComponents;
  readonly #jobId: string;
  readonly #options: FollowOptions;
  #attempt = 0;
  /** Offset of the attempt's first byte in the job's output (F1). */
  #base = 0;
  /** Where to read on within the attempt. */
  #next: number;
  /** The node did not answer when it was asked last. */
  #isUnreachable = false;
  #idleCount = 0;

  constructor(components: FollowComponents, jobId: string, options: FollowOptions) {
    this.#components = components;
    this.#jobId = jobId;
    this.#options = options;
    this.#next = Math.max(0, options.fromOffset);
  }

  async *run(): AsyncGenerator<FollowedChunk, void, undefined> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      const job = await this.#locate();
      if (job !== null) {
        const isLast = job.isFinal || !this.#options.follow;
        const isThere = job.attempt === this.#attempt || this.#moveTo(job.attempt);
        if (!isThere && isLast) throw this.#notBegun(job.attempt);
        if (isThere && (yield* this.#readAttempt(job, isLast))) return;
      }
      await this.#pause();
    }
  }

  /** @returns whether the output is complete. */
  async *#readAttempt(job: LocatedJob, isLast: boolean): AsyncGenerator<FollowedChunk, boolean, undefined> {
    if (this.#attempt === 0) return isLast;
    for (;;) {
      const page = await this.#pull(job);
      if (page === null) return yield* this.#withoutNode(job, isLast);
      const before = this.#next;
      yield* this.#give(page);
      const isAllForNow = !this.#options.follow && page.nextOffset < before + OUTPUT_PAGE_LIMIT_BYTES;
      if (page.isEnded || isAllForNow || this.#next === before) return isLast;
    }
  }

  /** The node cannot be reached, or no longer has it. */
  async *#withoutNode(job: LocatedJob, isLast: boolean): AsyncGenerator<FollowedChunk, boolean, undefined> {
    if (!isLast) return false;
    const recorded = recordedOutput(job.result);
    if (this.#next === 0) {
      yield* this.#give(recorded.page);
      const lack = this.#lackOf(job, recorded);
      if (lack === undefined) return true;
      throw outOfReach(lack);
    }
    if (recorded.totalBytes !== null && (recorded.isExact || this.#next >= recorded.totalBytes)) {
      yield* this.#give(recorded.page);
      return true;
    }
    if (this.#options.follow && this.#idleCount < FINAL_TRIES) return false;
    throw outOfReach(`the rest of the output of ${this.#jobId} is ${this.#whereabouts(job)}`);
  }

  /** @returns what the record's own text is not; undefined where it is all there was. */
  #lackOf(job: LocatedJob, { truncated }: RecordedOutput): string | undefined {
    if (truncated !== null)
      return `its record has the beginning and the end of each stream, of ${truncated.stdoutBytes} bytes of stdout and ${truncated.stderrBytes} of stderr; the whole is ${this.#whereabouts(job)}`;
    if (job.isFinal || !this.#isUnreachable) return undefined;
    return `the output of ${this.#jobId} is ${this.#whereabouts(job)}`;
  }

  #whereabouts({ node }: LocatedJob): string {
    return this.#isUnreachable ? `on ${node}, which is out of reach` : `kept no longer on ${node}`;
  }

  async #locate(): Promise<LocatedJob | null> {
    try {
      return await this.#components.locate(this.#jobId);
    } catch (error) {
      if (this.#options.follow && error instanceof AspenError && error.retry === 'later') return null;
      throw error;
    }
  }

  /** @returns null when the node cannot be reached or does not have it. */
  async #pull({ node, isFinal }: LocatedJob): Promise<OutputPage | null> {
    const { follow, signal } = this.#options;
    this.#isUnreachable = false;
    if (node === null) return null;
    const waitMs = !follow ? 0 : isFinal ? FINAL_WAIT_MS : OUTPUT_WAIT_LIMIT_MS;
    const request = {
      jobId: this.#jobId,
      attempt: this.#attempt,
      fromOffset: this.#next,
      bytesLimit: OUTPUT_PAGE_LIMIT_BYTES,
      waitMs,
    };
    try {
      return await pullOutput(this.#components, node, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AspenError)) throw error;
      this.#isUnreachable = error.code !== 'NOT_FOUND';
      if (this.#isUnreachable && error.retry !== 'later') throw error;
      return null;
    }
  }

  *#give(page: OutputPage): Generator<FollowedChunk, void, undefined> {
    const attempt = this.#attempt;
    const before = this.#next;
    for (const { stream, offset, data } of page.chunks) {
      const skipped = Math.max(0, before - offset);
      if (skipped >= data.length) continue;
      this.#idleCount = 0;
      const first = this.#base + offset;
      if (!isInSpan(attempt, first + data.length - 1)) throw this.#tooLong();
      yield { attempt, stream, offset: first + skipped, data: data.subarray(skipped) };
    }
    this.#next = Math.max(before, page.nextOffset);
  }

  /** @returns false where this reader has been in an attempt after that one. */
  #moveTo(attempt: number): boolean {
    const place = placeIn(attempt, this.#base + this.#next);
    if (place === null) return false;
    this.#base = place.base;
    this.#next = place.next;
    this.#attempt = attempt;
    this.#idleCount = 0;
    return true;
  }

  #notBegun(latest: number): AspenError {
    const offset = this.#base + this.#next;
    return outOfReach(
      `offset ${offset} is of attempt ${attemptOfOffset(offset)} of ${this.#jobId}, whose latest is ${latest}`,
    );
  }

  #tooLong(): AspenError {
    const which = `attempt ${this.#attempt} of ${this.#jobId}`;
    return outOfReach(
      `${which} has written more than ${ATTEMPT_SPAN_BYTES} bytes, as many as can be followed`,
    );
  }

  async #pause(): Promise<void> {
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(16, this.#idleCount));
    this.#idleCount += 1;
    await sleep(this.#components.clock, pauseMs, this.#options.signal);
  }
}

function outOfReach(message: string): AspenError {
  return new AspenError('UNAVAILABLE', message, { outcome: 'not-applied' });
}
