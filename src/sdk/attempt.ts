import type { WorkerCancel, WorkerExecute } from '../rpc/index.ts';
import type { RpcPeer } from '../rpc/os-client.ts';

/** `cancelled`, `timeout`, `heartbeat` (silent for too long), `lost` (the job may run elsewhere by now) or `shutdown`. */
export type StopReason = WorkerCancel['reason'];

/** A job's spec in the words of `job.get`; what was not asked for has its default. */
export interface WorkerSpec {
  readonly type: string;
  readonly payload: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly queue: string;
  readonly namespace: string;
  /** 1 to 10, 10 first. */
  readonly priority: number;
  readonly idempotencyKey: string | null;
  readonly concurrencyKey: string | null;
  /** For one attempt; null for no limit. */
  readonly timeoutMs: number | null;
  readonly heartbeatTimeoutMs?: number;
  readonly queueTimeoutMs?: number;
  /** Wall time by which all of it has to be over; absent for no limit. Unit: ms since 1970. */
  readonly deadlineAt?: number;
  readonly retry: {
    readonly maxAttempts: number;
    /** Absent where the job did not say it, for 5. */
    readonly maxLosses?: number;
    readonly backoff: string | readonly number[];
    readonly delayMs: number;
    readonly maxDelayMs: number;
    readonly jitter: string;
    readonly nonRetryableExitCodes: readonly number[];
  };
  readonly traceparent: string | null;
  readonly retentionMs: number;
  readonly [field: string]: unknown;
}

/** The job, as its handler sees it. */
export interface WorkerJob<P = unknown> {
  readonly id: string;
  readonly type: string;
  readonly payload: P;
  /** W3C trace context of whoever submitted it. */
  readonly traceparent: string | null;
  /** All that was asked for. */
  readonly spec: WorkerSpec;
}

export interface AttemptProgress {
  /** 0 to 100. */
  readonly percent?: number;
  /** At most 1,024 characters. */
  readonly message?: string;
  /** At most 64, by name. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** The place of an attempt among those of its group. The job's result is what rank 0 returns. */
export type GroupPart = NonNullable<WorkerExecute['group']>;

/** What a handler may know of its attempt, and say about it. */
export interface AttemptControl {
  /** 1 for the first. */
  readonly attempt: number;
  /** Grows with every attempt of a job: whatever the job writes to should refuse a smaller one than it has seen. */
  readonly fencingToken: number;
  /** Time that the attempt has from its start; null for no limit. Unit: ms. */
  readonly deadlineMs: number | null;
  /** Of a job that runs on several nodes at once: its place among them, and the peer id of each; undefined otherwise. */
  readonly group: GroupPart | undefined;
  /** Aborted with an {@link AttemptStopped} when the handler should end: nothing it returns afterwards is needed. */
  readonly signal: AbortSignal;
  /** Tells how far it is; only the latest counts. */
  progress(progress: AttemptProgress): void;
  /** A sign of life, for a job with a `heartbeatTimeoutMs`; needed only where the worker's `heartbeats` are `manual`. */
  heartbeat(): void;
  /** Output, as of a program. @returns when there is room for more; never rejects. */
  log(data: string | Uint8Array, stream?: 'stdout' | 'stderr'): Promise<void>;
}

/** Why an attempt should end: the job was cancelled, it took too long, was silent for too long, its hold was lost, or the agent stops. */
export class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped';
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the attempt was stopped: ${reason}`);
    this.reason = reason;
  }
}

/** Characters of output in one message. */
const PIECE_LENGTH = 2 ** 18;

/** One attempt at work. What most handlers never ask for is made when they do. */
export class Attempt implements AttemptControl {
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly deadlineMs: number | null;
  readonly group: GroupPart | undefined;
  readonly #peer: RpcPeer;
  readonly #workerId: string;
  #abort: AbortController | undefined;
  #stopped: AttemptStopped | undefined;

  constructor(peer: RpcPeer, { workerId, job, attempt, fencingToken, deadlineMs, group }: WorkerExecute) {
    this.#peer = peer;
    this.#workerId = workerId;
    this.jobId = job.id;
    this.attempt = attempt;
    this.fencingToken = fencingToken;
    this.deadlineMs = deadlineMs;
    this.group = group;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#stopped !== undefined) this.#abort.abort(this.#stopped);
    }
    return this.#abort.signal;
  }

  /** Set once somebody wants it to end. */
  get stopped(): AttemptStopped | undefined {
    return this.#stopped;
  }

  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = new AttemptStopped(reason);
    this.#abort?.abort(this.#stopped);
  }

  /** As `log`, a function of its own: handlers take it out of the object. */
  get progress(): AttemptControl['progress'] {
    const { jobId, attempt } = this;
    return ({ percent, message, counters }) =>
      void this.#peer.notify('worker.progress', { jobId, attempt, percent, message, counters });
  }

  get heartbeat(): AttemptControl['heartbeat'] {
    const { jobId, attempt, fencingToken } = this;
    const params = { workerId: this.#workerId, attempts: [{ jobId, attempt, fencingToken }] };
    return () => void this.#peer.notify('worker.heartbeat', params);
  }

  get log(): AttemptControl['log'] {
    return (data, stream = 'stdout') => this.#log(data, stream);
  }

  async #log(data: string | Uint8Array, stream: 'stdout' | 'stderr'): Promise<void> {
    const { jobId, attempt } = this;
    for (const piece of piecesOf(data)) {
      try {
        await this.#peer.request('worker.log', { jobId, attempt, stream, ...piece });
      } catch {
        return; // the attempt is over or the connection gone: nobody is there to read it
      }
    }
  }
}

function* piecesOf(data: string | Uint8Array): Iterable<{ data: string; encoding?: 'base64' }> {
  if (typeof data === 'string') {
    for (let at = 0; at < data.length; ) {
      const end = endOfPiece(data, at + PIECE_LENGTH);
      yield { data: data.slice(at, end) };
      at = end;
    }
    return;
  }
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < bytes.length; at += PIECE_LENGTH) {
    yield { data: bytes.subarray(at, at + PIECE_LENGTH).toString('base64'), encoding: 'base64' };
  }
}

/** A character of two halves is not cut. */
function endOfPiece(text: string, at: number): number {
  const isCut = at < text.length && /[\ud800-\udbff]/.test(text.charAt(at - 1));
  return isCut ? at + 1 : at;
}
