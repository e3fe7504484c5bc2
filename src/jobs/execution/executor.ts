import type { PeerId } from '../../base/index.ts';
import type { SpoolPage } from '../../supervisor/index.ts';
import type { AttemptRef } from '../settlement.ts';

/** Why an attempt is ended from outside; the reason of its abort signal. */
export type StopReason = 'cancelled' | 'timeout' | 'heartbeat' | 'lost' | 'shutdown';

/** Output that is kept elsewhere while it grows, and after. */
export interface OutputSource {
  /** Bytes of both streams that can be read. */
  readonly outputBytes: number;
  /** There is more, or it has ended. */
  onOutput(callback: () => void): Disposable;
  /** @param into where the bytes of the page may lie, for who reads much and is done with one page before the next. */
  readOutput(fromOffset: number, bytesLimit: number, into?: Uint8Array): Promise<SpoolPage>;
}

/** How long the node may go on with an attempt. */
export interface AttemptHold {
  /** By the monotonic clock of the node. */
  readonly untilMs: number;
  onMove(callback: (untilMs: number) => void): Disposable;
}

/** Whether an attempt is to end, for those who do without the signal: making one for each attempt takes longer than all else here. */
export interface AttemptStop {
  /** Null while nobody asked. */
  readonly stopReason: StopReason | null;
  /** @param callback called at once when it is to end already; one listener. */
  onStop(callback: () => void): void;
}

/** Where an attempt's output goes, in the order in which it arrives. Never blocks: what cannot be kept is dropped by the sink. */
export interface OutputSink {
  write(stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  /** A promise while the writer is far ahead of who follows, which resolves when it may go on; undefined when it may write. */
  whenRoom?(): Promise<void> | undefined;
  /** Nothing is written: the output is what the source has. */
  attach?(source: OutputSource): void;
}

export interface AttemptProgress {
  /** 0 to 100. */
  readonly percent?: number;
  readonly message?: string;
  readonly counters?: Record<string, number>;
}

/** The place of an attempt among those that run at once on other nodes. */
export interface GroupPart {
  /** 0 to `size` - 1. The job's result and its output are those of rank 0. */
  readonly rank: number;
  readonly size: number;
  /** The node of each rank. */
  readonly peers: readonly string[];
}

/** All that one attempt of a job may know and touch. */
export interface AttemptContext {
  readonly jobId: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Grows with every attempt; whatever the job writes to should refuse a smaller one than it has seen. */
  readonly fencingToken: number;
  /** The node on which this attempt runs. */
  readonly node: PeerId;
  readonly payload: unknown;
  readonly traceparent: string | null;
  /** Absent where the attempt runs on one node. */
  readonly group?: GroupPart;
  /** Aborted with a StopReason as its reason. */
  readonly signal: AbortSignal;
  readonly output: OutputSink;
  progress(progress: AttemptProgress): void;
  /** How it was given to the node; whoever keeps the work over a restart of the agent keeps this with it. */
  readonly assignment?: unknown;
  /** Absent where nobody takes the job away. */
  readonly hold?: AttemptHold;
  /** Time that the attempt has; null or absent for no limit. */
  readonly timeoutMs?: number | null;
  /** A sign of life; absent where silence is not limited. */
  readonly beat?: () => void;
}

export interface ExecutionError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly exitCode?: number;
  /** Least pause before the next run, as whoever was asked wishes it. Unit: ms. */
  readonly retryAfterMs?: number;
}

/** The code of an attempt of which processes are left that could not be ended. */
export const PROCESSES_LEFT = 'PROCESSES_LEFT';

/** The code of an attempt that a limit ended. */
export const LIMIT_EXCEEDED = 'LIMIT_EXCEEDED';

/** A result is kept on failure too: a command's output says why it failed. */
export type ExecutionResult =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: ExecutionError; readonly result: unknown };

/**
 * Does the work of one type of job.
 *
 * When the signal aborts, `execute` ends whatever it began (processes, requests) and only then resolves. It resolves with
 * ok: false for every expected failure; a rejection is a fault of the executor itself.
 */
export interface Executor {
  /** The job type served, e.g. `shell`. */
  readonly type: string;
  execute(attempt: AttemptContext): Promise<ExecutionResult>;
  /** What an earlier agent began on this node; asked once, before anything is executed. */
  recover?(): Promise<readonly RecoveredAttempt[]>;
  /** Whoever had to hear of the outcome has heard of it. */
  settled?(ref: AttemptRef): void;
}

/** An attempt that outlived its agent, or of which it is known that it was interrupted. */
export interface RecoveredAttempt {
  /** What the context of `execute` said then. Comes from a disk: to be checked. */
  readonly assignment: unknown;
  /** Until when it may go on without a word from the leader. By the monotonic clock. */
  readonly holdUntilMs: number;
  readonly timeoutLeftMs: number | null;
  /** As `execute`, from where it is now. */
  resume(attempt: AttemptContext): Promise<ExecutionResult>;
}

const STOP_REASONS: readonly unknown[] = [
  'cancelled',
  'timeout',
  'heartbeat',
  'lost',
  'shutdown',
] satisfies StopReason[];

const STOP_ERRORS: Record<StopReason, ExecutionError> = {
  cancelled: { code: 'CANCELLED', message: 'the job was cancelled', retryable: false },
  timeout: { code: 'TIMEOUT', message: 'the attempt ran longer than its timeout', retryable: true },
  heartbeat: {
    code: 'HEARTBEAT_TIMEOUT',
    message: 'the attempt gave no sign of life for longer than its heartbeat timeout',
    retryable: true,
  },
  lost: { code: 'LOST', message: 'the node lost its hold on the job', retryable: true },
  shutdown: { code: 'LOST', message: 'the agent was stopped', retryable: true },
};

/** @returns why the signal was aborted, null while it is not. A foreign reason counts as `shutdown`: the work ends, nobody asked for a result. */
export function stopReasonOf(signal: AbortSignal): StopReason | null {
  if (!signal.aborted) return null;
  return STOP_REASONS.includes(signal.reason) ? (signal.reason as StopReason) : 'shutdown';
}

/** @returns the failure of an attempt that was ended from outside. */
export function stoppedResult(reason: StopReason, result: unknown): ExecutionResult {
  return { ok: false, error: STOP_ERRORS[reason], result };
}
