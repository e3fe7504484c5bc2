import { AspenError, type Clock, type Timer } from '../base/index.ts';
import { ByAttempt } from './by-attempt.ts';
import {
  type AttemptProgress,
  type ExecutionError,
  type ExecutionResult,
  type GroupPart,
  type StopReason,
  stoppedResult,
} from './execution/executor.ts';
import { AttemptGone } from './outcome.ts';
import type { Settled } from './outcome-teller.ts';
import type { AttachedPool, PooledContext } from './pools.ts';
import type { AttemptRef } from './settlement.ts';
import { Slots } from './slots.ts';
import type { PoolReport } from './wire.ts';

/** One attempt, as it is named between an agent and its worker. */
export interface WorkerAttemptName {
  readonly jobId: string;
  readonly attempt: number;
}

/** What a worker is asked to do. */
export interface ExecuteRequest {
  readonly workerId: string;
  readonly job: {
    readonly id: string;
    readonly spec: {
      readonly type: string;
      readonly payload: unknown;
      readonly timeoutMs?: number;
      readonly heartbeatTimeoutMs?: number;
      readonly traceparent?: string;
      /** What else the job asked for, in the words of the interface; what has its default is absent. */
      readonly [field: string]: unknown;
    };
    readonly state: 'running';
    readonly attempt: number;
    readonly node: string;
    readonly fencingToken: number;
  };
  readonly attempt: number;
  readonly fencingToken: number;
  /** Time left for this attempt; null where the job has no timeout. Unit: ms. */
  readonly deadlineMs: number | null;
  /** Of a job that runs on several nodes at once. */
  readonly group?: GroupPart;
}

/** What a worker made of a request; foreign but for its type. `closed`: its connection is gone. */
export type WorkerAnswer =
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly error: unknown }
  | { readonly type: 'closed' };

/** The connection to an attached worker. */
export interface WorkerLink {
  /** @param onAnswer called once. */
  execute(request: ExecuteRequest, onAnswer: (answer: WorkerAnswer) => void): void;
  cancel(order: WorkerAttemptName & { readonly workerId: string; readonly reason: StopReason }): void;
  settled(
    told: WorkerAttemptName & {
      readonly workerId: string;
      readonly accepted: boolean;
      readonly state: string | null;
      readonly reason?: string;
    },
  ): void;
  close(): void;
}

export interface AttachedWorkerOptions {
  readonly id: string;
  readonly types: readonly string[];
  readonly concurrency: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface AttachedWorkerComponents {
  readonly link: WorkerLink;
  readonly clock: Clock;
  /** What it offers has changed, or it has drained. */
  readonly onChange: (worker: AttachedWorker) => void;
}

/**
 * How long a worker that was asked to stop an attempt may take to answer. A lost hold is over at once: whatever the worker goes on to do,
 * its token is stale. Unit: ms.
 */
const ANSWER_MS: Readonly<Record<Exclude<StopReason, 'lost'>, number>> = {
  cancelled: 10_000,
  timeout: 5_000,
  heartbeat: 5_000,
  shutdown: 3_000,
};

interface Entry {
  readonly context: PooledContext;
  readonly resolve: (result: ExecutionResult) => void;
  readonly reject: (error: unknown) => void;
  state: 'running' | 'answered' | 'given up';
  timer: Timer | undefined;
}

/**
 * A program that runs attempts over a connection of its own.
 *
 * - A2 The first answer to a request counts, and only while the attempt is held: a second, a late or a foreign one changes nothing.
 * - A3 A connection that closes ends its attempts at once; each is given back as lost.
 * - A4 An attempt that was given up while the worker still works on it keeps its place there until the worker answers.
 * - A5 A worker is told once what became of each attempt it was asked to run.
 * - A6 A heartbeat counts for the attempt of that token while this worker is at it and was not told to stop; whoever sends any other learns that it is lost.
 */
export class AttachedWorker implements AttachedPool {
  readonly id: string;
  readonly slots: Slots;
  readonly #components: AttachedWorkerComponents;
  readonly #options: AttachedWorkerOptions;
  readonly #types: ReadonlySet<string>;
  readonly #entries = new ByAttempt<Entry>(
    ({ context }) => context.jobId,
    ({ context }) => context.attempt,
  );
  /** Given up, and not answered. */
  readonly #unanswered = new Set<Entry>();
  #isDraining = false;
  #isClosed = false;

  constructor(components: AttachedWorkerComponents, options: AttachedWorkerOptions) {
    this.id = options.id;
    this.slots = new Slots(options.concurrency);
    this.#components = components;
    this.#options = options;
    this.#types = new Set(options.types);
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Nothing of it is left to wait for. */
  get isDrained(): boolean {
    return this.#isClosed || (this.#isDraining && this.#entries.size === 0);
  }

  /** Attempts that it was asked to run and that are not settled. */
  get heldCount(): number {
    return this.#entries.size;
  }

  get types(): readonly string[] {
    return this.#options.types;
  }

  get concurrency(): number {
    return this.#options.concurrency;
  }

  offers(type: string): boolean {
    return this.#types.has(type);
  }

  report(): PoolReport {
    const { id, types, labels } = this.#options;
    return {
      id,
      types: [...types],
      labels: { ...labels },
      slots: Math.max(0, this.slots.count),
      isDraining: this.#isDraining,
      ...this.#reportUnanswered(),
    };
  }

  #reportUnanswered(): Pick<PoolReport, 'unanswered'> {
    const [first] = this.#unanswered;
    if (first === undefined) return {};
    const { jobId, attempt } = first.context;
    return { unanswered: { count: this.#unanswered.size, jobId, attempt } };
  }

  execute(context: PooledContext): Promise<ExecutionResult> {
    if (this.#isClosed) return Promise.reject(goneError());
    return new Promise((resolve, reject) => {
      const entry: Entry = { context, resolve, reject, state: 'running', timer: undefined };
      this.#entries.set(entry);
      this.#components.link.execute(this.#requestOf(context), (answer) => this.#answered(entry, answer));
      context.stop.onStop(() => this.#stop(entry));
    });
  }

  /** A5. What it was told to stop and did not answer in time was agreed without it: nothing of its own was accepted. */
  settled({ jobId, attempt, fencingToken }: AttemptRef, { isAccepted, reason, state }: Settled): void {
    const entry = this.#entries.find(jobId, attempt);
    if (entry?.context.fencingToken !== fencingToken) return;
    this.#entries.delete(jobId, attempt);
    if (this.#isClosed) return;
    const isHeard = entry.state !== 'given up';
    const told = { workerId: this.id, jobId, attempt, accepted: isAccepted && isHeard, state };
    const why = isHeard ? reason : `it was given up: ${entry.context.stop.stopReason}`;
    this.#components.link.settled(why === null ? told : { ...told, reason: why });
    if (this.#isDraining) this.#components.onChange(this);
  }

  /** Whether it was asked to run that attempt and has not answered; whatever it says of any other is not heard. */
  isRunning({ jobId, attempt }: WorkerAttemptName): boolean {
    return this.#entries.find(jobId, attempt)?.state === 'running';
  }

  /** A6 */
  beat({ jobId, attempt, fencingToken }: AttemptRef): boolean {
    const entry = this.#entries.find(jobId, attempt);
    if (entry?.state !== 'running' || entry.context.fencingToken !== fencingToken) return false;
    entry.context.beat?.();
    return entry.context.stop.stopReason === null;
  }

  /** @throws AspenError FENCED when it does not run that attempt. */
  progress(name: WorkerAttemptName, progress: AttemptProgress): void {
    this.#held(name).context.progress(progress);
  }

  /** @returns what to wait for before more is sent; undefined when there is room. @throws as {@link progress}. */
  log(name: WorkerAttemptName, stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | undefined {
    const { output } = this.#held(name).context;
    output.write(stream, bytes);
    return output.whenRoom?.();
  }

  /** It finishes what it has and is given nothing more. */
  drain(): void {
    this.#isDraining = true;
    this.#components.onChange(this);
  }

  /** A3 */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.slots.close();
    this.#components.onChange(this);
    for (const entry of this.#entries.values()) this.#answered(entry, { type: 'closed' });
  }

  /** Ends the connection, which makes whoever is behind it attach again. */
  disconnect(): void {
    this.#components.link.close();
    this.close();
  }

  #requestOf({
    jobId,
    type,
    payload,
    timeoutMs,
    heartbeatTimeoutMs,
    traceparent,
    attempt,
    node,
    fencingToken,
    group,
    assignment: { rest },
  }: PooledContext): ExecuteRequest {
    const spec = {
      type,
      payload,
      ...(timeoutMs !== null && { timeoutMs }),
      ...(heartbeatTimeoutMs !== null && { heartbeatTimeoutMs }),
      ...(traceparent !== null && { traceparent }),
    };
    if (rest !== undefined) Object.assign(spec, rest);
    const job = { id: jobId, spec, state: 'running' as const, attempt, node, fencingToken };
    const request = { workerId: this.id, job, attempt, fencingToken, deadlineMs: timeoutMs };
    return group === undefined ? request : { ...request, group };
  }

  /** Whatever a worker says of an attempt passes here. */
  #held(name: WorkerAttemptName): Entry {
    const entry = this.#entries.find(name.jobId, name.attempt);
    if (entry?.state === 'running') return entry;
    throw new AspenError('FENCED', `this worker does not run attempt ${name.attempt} of ${name.jobId}`);
  }

  /** A2 */
  #answered(entry: Entry, answer: WorkerAnswer): void {
    entry.timer?.cancel();
    if (this.#unanswered.delete(entry)) this.#resize();
    if (entry.state !== 'running') return;
    entry.state = 'answered';
    const stopped = entry.context.stop.stopReason;
    if (answer.type === 'result') entry.resolve({ ok: true, result: answer.result });
    else if (
      stopped === 'timeout' ||
      stopped === 'heartbeat' ||
      (stopped !== null && answer.type === 'error')
    ) {
      entry.resolve(stoppedResult(stopped, null));
    } else if (answer.type === 'error')
      entry.resolve({ ok: false, error: failureOf(answer.error), result: null });
    else entry.reject(goneError());
  }

  #stop(entry: Entry): void {
    if (entry.state !== 'running') return;
    const { jobId, attempt } = entry.context;
    const reason = entry.context.stop.stopReason ?? 'shutdown';
    this.#components.link.cancel({ workerId: this.id, jobId, attempt, reason });
    if (reason === 'lost') this.#giveUp(entry, reason);
    else entry.timer = this.#components.clock.setTimer(ANSWER_MS[reason], () => this.#giveUp(entry, reason));
  }

  /** A4 */
  #giveUp(entry: Entry, reason: StopReason): void {
    if (entry.state !== 'running') return;
    entry.state = 'given up';
    this.#unanswered.add(entry);
    this.#resize();
    if (reason !== 'cancelled') entry.resolve(stoppedResult(reason, null));
    else entry.reject(new AttemptGone('its worker did not answer when it was asked to stop'));
  }

  #resize(): void {
    if (this.#isClosed) return;
    this.slots.resize(this.#options.concurrency - this.#unanswered.size);
    this.#components.onChange(this);
  }
}

function goneError(): AttemptGone {
  return new AttemptGone('the connection of its worker has closed');
}

const CODE_LENGTH_LIMIT = 64;

/** @param error the error object of a JSON-RPC response; all of it is foreign. */
function failureOf(error: unknown): ExecutionError {
  const { code, message, data } = fieldsOf(error);
  const { code: name, retryable, exitCode } = fieldsOf(data);
  return {
    code: codeOf(name) ?? codeOf(code) ?? 'WORKER_ERROR',
    message: typeof message === 'string' ? message : 'the worker gave no message',
    retryable: retryable !== false,
    ...(Number.isSafeInteger(exitCode) && { exitCode: exitCode as number }),
  };
}

function codeOf(value: unknown): string | undefined {
  if (Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, CODE_LENGTH_LIMIT) : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
