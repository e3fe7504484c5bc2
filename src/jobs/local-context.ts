import type { PeerId } from '../base/index.ts';
import type {
  AttemptHold,
  AttemptProgress,
  AttemptStop,
  GroupPart,
  OutputSink,
} from './execution/executor.ts';
import type { LocalAttempt } from './local-attempt.ts';
import type { PooledContext } from './pools.ts';
import type { Assignment } from './wire.ts';

export interface Progress {
  readonly percent: number | null;
  readonly message: string | null;
  readonly counters: Readonly<Record<string, number>>;
}

export interface LocalSurroundings {
  readonly self: PeerId;
  readonly onProgress: (jobId: string, fencingToken: number, progress: Progress) => void;
}

/** What a pool is told of an attempt. There is one for each, so it is a class: its shape is made once. */
export class LocalContext implements PooledContext {
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly node: PeerId;
  readonly type: string;
  readonly payload: unknown;
  readonly traceparent: string | null;
  readonly timeoutMs: number | null;
  readonly heartbeatTimeoutMs: number | null;
  readonly stop: AttemptStop;
  readonly assignment: Assignment;
  readonly hold: AttemptHold;
  readonly output: OutputSink;
  readonly group?: GroupPart;
  readonly #attempt: LocalAttempt;
  readonly #onProgress: LocalSurroundings['onProgress'];

  constructor(attempt: LocalAttempt, output: OutputSink, { self, onProgress }: LocalSurroundings) {
    const { assignment } = attempt;
    const { rank, peers } = assignment;
    this.jobId = assignment.jobId;
    this.attempt = assignment.attempt;
    this.fencingToken = assignment.fencingToken;
    this.node = self;
    this.type = assignment.type;
    this.payload = attempt.payload;
    this.traceparent = assignment.traceparent;
    this.timeoutMs = assignment.timeoutMs;
    this.heartbeatTimeoutMs = assignment.heartbeatTimeoutMs;
    this.stop = attempt;
    this.assignment = assignment;
    this.hold = attempt;
    this.output = output;
    if (rank !== undefined && peers !== undefined) this.group = { rank, size: peers.length, peers };
    this.#attempt = attempt;
    this.#onProgress = onProgress;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** Of a group the first member speaks. */
  progress({ percent, message, counters = {} }: AttemptProgress): void {
    const { rank } = this.assignment;
    if (rank !== undefined && rank > 0) return;
    const told = { percent: percent ?? null, message: message ?? null, counters };
    this.#onProgress(this.jobId, this.fencingToken, told);
  }
}
