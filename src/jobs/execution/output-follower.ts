import { AspenError, type Clock, type PeerId, sleep } from '../../base/index.ts';
import type { Requester } from '../../mesh/index.ts';
import { OUTPUT_PAGE_LIMIT_BYTES, OUTPUT_WAIT_LIMIT_MS } from './output-server.ts';
import { pullOutput } from './output-source.ts';
import type { OutputChunk, OutputPage, OutputStore } from './output-store.ts';

/** What the group knows about a job, as far as its output is concerned. */
export interface LocatedJob {
  readonly state: string;
  readonly isFinal: boolean;
  /** Number of the latest attempt; 0 before the first. */
  readonly attempt: number;
  /** Where the latest attempt runs or ran. */
  readonly node: PeerId | null;
  readonly result: unknown;
}

export interface FollowComponents {
  readonly messenger: Requester;
  /** Of this node. */
  readonly store: OutputStore;
  readonly clock: Clock;
  readonly locate: (jobId: string) => Promise<LocatedJob>;
}

export interface FollowOptions {
  /** Wait for more until the job is final; otherwise end with what is there now. */
  readonly follow: boolean;
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
 * - F1 Offsets only grow. A later attempt's output begins where that of the one before ended, as far as it was read here.
 * - F2 The record's own text stands in for output that its node no longer has, and only where none of that attempt was given. Where that is not
 *   the whole, it is said.
 *
 * Ends when the signal aborts. @throws AspenError UNAVAILABLE when a part was given, or nothing, and the rest is out of reach for good; what
 * `locate` throws, unless trying later can help and `follow` is set.
 */
export async function* followOutput(
  components: FollowComponents,
  jobId: string,
  options: FollowOptions,
): AsyncGenerator<OutputChunk, void, undefined> {
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
  #next = 0;
  #isGiven = false;
  /** The node did not answer when it was asked last. */
  #isUnreachable = false;
  #idleCount = 0;

  constructor(components: FollowComponents, jobId: string, options: FollowOptions) {
    this.#components = components;
    this.#jobId = jobId;
    this.#options = options;
  }

  async *run(): AsyncGenerator<OutputChunk, void, undefined> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      const job = await this.#locate();
      if (job !== null) {
        const isLast = job.isFinal || !this.#options.follow;
        if (job.attempt > this.#attempt) this.#moveTo(job.attempt);
        if (yield* this.#readAttempt(job, isLast)) return;
      }
      await this.#pause();
    }
  }

  /** @returns whether the output is complete. */
  async *#readAttempt(job: LocatedJob, isLast: boolean): AsyncGenerator<OutputChunk, boolean, undefined> {
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
  async *#withoutNode(job: LocatedJob, isLast: boolean): AsyncGenerator<OutputChunk, boolean, undefined> {
    if (!isLast) return false;
    if (!this.#isGiven) {
      yield* this.#give(pageOf(job.result));
      const lack = this.#lackOf(job);
      if (lack === undefined) return true;
      throw outOfReach(lack);
    }
    if (this.#options.follow && this.#idleCount < FINAL_TRIES) return false;
    throw outOfReach(`the rest of the output of ${this.#jobId} is ${this.#whereabouts(job)}`);
  }

  /** @returns what the record's own text is not; undefined where it is all there was. */
  #lackOf(job: LocatedJob): string | undefined {
    const { truncated, stdoutBytes, stderrBytes } = (job.result ?? {}) as Record<string, unknown>;
    if (truncated === true)
      return `its record has the beginning and the end of each stream, of ${stdoutBytes} bytes of stdout and ${stderrBytes} of stderr; the whole is ${this.#whereabouts(job)}`;
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

  *#give(page: OutputPage): Generator<OutputChunk, void, undefined> {
    for (const { stream, offset, data } of page.chunks) {
      const skipped = Math.max(0, this.#options.fromOffset - (this.#base + offset));
      if (skipped >= data.length) continue;
      this.#isGiven = true;
      this.#idleCount = 0;
      yield { stream, offset: this.#base + offset + skipped, data: data.subarray(skipped) };
    }
    this.#next = Math.max(this.#next, page.nextOffset);
  }

  #moveTo(attempt: number): void {
    this.#base += this.#next;
    this.#next = Math.max(0, this.#attempt === 0 ? this.#options.fromOffset : 0);
    this.#attempt = attempt;
    this.#isGiven = false;
    this.#idleCount = 0;
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

/** F2. */
function pageOf(result: unknown): OutputPage {
  const { stdout, stderr } = (typeof result === 'object' && result !== null ? result : {}) as {
    stdout?: unknown;
    stderr?: unknown;
  };
  const out = new TextEncoder().encode(typeof stdout === 'string' ? stdout : '');
  const err = new TextEncoder().encode(typeof stderr === 'string' ? stderr : '');
  const chunks: OutputChunk[] = [
    { stream: 'stdout', offset: 0, data: out },
    { stream: 'stderr', offset: out.length, data: err },
  ];
  return { chunks, nextOffset: out.length + err.length, isEnded: true, firstOffset: 0 };
}
