import { AspenError, backoffMs, type Clock, type Random, sleep, whenAborted } from '../base/index.ts';
import { OsClock } from '../base/os-clock.ts';
import { OsRandom } from '../base/os-random.ts';
import type { WorkerExecute, WorkerSettled } from '../rpc/index.ts';
import { dialSocket, type LineDuplex } from '../rpc/os-client.ts';
import type { Attempt, AttemptControl, WorkerJob } from './attempt.ts';
import { type ConnectOptions, socketOf } from './connect-options.ts';
import { GivenJob } from './given-job.ts';
import { NonRetryableError } from './job-failure.ts';
import { keepAlive } from './keep-alive.ts';
import { ThreadPulse } from './os-pulse.ts';
import { NO_PULSE, type Pulse } from './pulse.ts';
import { WorkerSession } from './worker-session.ts';

/** Does the work of one job. What it returns is the job's result; what it throws fails the attempt. */
export type JobHandler<P = never> = (job: WorkerJob<P>, control: AttemptControl) => unknown;

interface WorkerSettings {
  /** Handlers that run at once. @default 1 */
  readonly concurrency?: number;
  /** Added to the labels of the agent's node, for the jobs of this worker. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Who gives the signs of life of jobs with a `heartbeatTimeoutMs`. `automatic`: a thread of this library, also while a handler blocks; they
   * end with the process. `manual`: the handlers, by `heartbeat`, progress and output, so that one that hangs is found out.
   * @default automatic
   */
  readonly heartbeats?: 'automatic' | 'manual';
  /** What became of an attempt; `accepted: false` where another attempt had taken its place. */
  readonly onSettled?: (settled: WorkerSettled) => void;
  /** The worker is attached, for the first time or again. */
  readonly onAttached?: (workerId: string) => void;
  /** The connection was lost (`error` is absent), or attaching again failed; it is tried until `close`. */
  readonly onDetached?: (error?: AspenError) => void;
}

/** What a worker runs: a handler for each type, or one for several. */
export type WorkerDefinition = WorkerSettings &
  (
    | { readonly handlers: Readonly<Record<string, JobHandler>> }
    | { readonly types: readonly string[]; readonly handler: JobHandler }
  );

/** Where the agent is; one of the two must be given. */
export type WorkerConnectOptions = Pick<ConnectOptions, 'dataDir' | 'socketPath'>;

export interface CloseOptions {
  /** How long handlers may go on before they are stopped. Unit: ms. @default 30_000 */
  readonly timeoutMs?: number;
}

/** A program that runs jobs of the types it names, for the agent of its machine. Disposing closes it. */
export interface Worker extends AsyncDisposable {
  /** The name under which it is attached now; null while it is not. */
  readonly workerId: string | null;
  /** Handlers at work. */
  readonly runningCount: number;
  /** Attaches. @throws AspenError UNAVAILABLE when no agent answers, CONFLICT when it was started before; as the agent answered. */
  start(): Promise<void>;
  /** Takes nothing more, lets handlers finish, then detaches. What is not done in time is stopped, and runs elsewhere. */
  close(options?: CloseOptions): Promise<void>;
}

export interface WorkerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: () => Promise<LineDuplex>;
  /** Keeps the process alive while the worker is to be attached. */
  readonly keepAlive: () => Disposable;
  /** @default the handlers give all signs of life there are */
  readonly pulse?: Pulse;
}

const CLOSE_MS = 30_000;
/** How long handlers that were stopped may take to notice. Unit: ms. */
const STOP_MS = 2_000;
const BACKOFF = { firstMs: 50, mostMs: 5_000 };

/** A worker of the agent at `options`. Nothing happens before `start`. @throws AspenError INVALID_PARAMS where `options` name no agent. */
export function defineWorker(definition: WorkerDefinition, options: WorkerConnectOptions): Worker {
  const path = socketOf(options);
  const components = {
    clock: new OsClock(),
    random: new OsRandom(),
    dial: () => dialSocket(path),
    keepAlive,
    pulse: definition.heartbeats === 'manual' ? NO_PULSE : new ThreadPulse(path),
  };
  return createWorker(components, definition);
}

export function createWorker(components: WorkerComponents, definition: WorkerDefinition): Worker {
  return new ReattachingWorker(components, definition);
}

/**
 * - R10 A worker attaches again whenever its connection was lost, and runs no more handlers at once than it said, those of a lost
 *   connection included.
 */
class ReattachingWorker implements Worker {
  readonly #components: WorkerComponents;
  readonly #definition: WorkerDefinition;
  readonly #handlers: ReadonlyMap<string, JobHandler>;
  readonly #concurrency: number;
  readonly #closing = new AbortController();
  /** Attempts that wait for a handler of a lost connection to end. */
  readonly #waiting: (() => void)[] = [];
  #session: WorkerSession | undefined;
  #attached: Promise<void> | undefined;
  #runningCount = 0;

  constructor(components: WorkerComponents, definition: WorkerDefinition) {
    this.#components = components;
    this.#definition = definition;
    this.#handlers = handlersOf(definition);
    this.#concurrency = definition.concurrency ?? 1;
  }

  get workerId(): string | null {
    return this.#session === undefined || this.#session.closed.aborted ? null : this.#session.workerId;
  }

  get runningCount(): number {
    return this.#runningCount;
  }

  async start(): Promise<void> {
    if (this.#attached !== undefined) throw new AspenError('CONFLICT', 'this worker was started before');
    this.#session = await this.#attach();
    this.#attached = this.#stayAttached();
  }

  async close({ timeoutMs = CLOSE_MS }: CloseOptions = {}): Promise<void> {
    this.#closing.abort(new Error('the worker closes'));
    const session = this.#session;
    if (session !== undefined && !session.closed.aborted) {
      const drained = session.drain();
      if (!(await this.#isDoneWithin(drained, timeoutMs))) {
        session.stopAll('shutdown');
        await this.#isDoneWithin(drained, STOP_MS);
      }
      session.close();
    }
    await this.#attached;
    this.#components.pulse?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #stayAttached(): Promise<void> {
    using _ = this.#components.keepAlive();
    const { signal } = this.#closing;
    for (;;) {
      const session = this.#session as WorkerSession;
      await whenAborted(session.closed);
      if (signal.aborted) return;
      this.#definition.onDetached?.();
      const next = await this.#attachAgain();
      if (next === undefined) return;
      this.#session = next;
    }
  }

  /** @returns undefined when the worker is closed first. */
  async #attachAgain(): Promise<WorkerSession | undefined> {
    const { clock, random } = this.#components;
    const { signal } = this.#closing;
    for (let tries = 1; ; tries += 1) {
      try {
        await sleep(clock, backoffMs(tries, random, BACKOFF), signal);
        const session = await this.#attach();
        if (!signal.aborted) return session;
        session.close();
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!(error instanceof AspenError)) throw error;
        this.#definition.onDetached?.(error);
      }
    }
  }

  async #attach(): Promise<WorkerSession> {
    const { labels = {}, onAttached, onSettled } = this.#definition;
    const session = new WorkerSession({
      duplex: await this.#components.dial(),
      run: (request, attempt) => this.#run(request, attempt),
      onSettled: (settled) => onSettled?.(settled),
      pulse: this.#components.pulse ?? NO_PULSE,
    });
    try {
      await session.attach({ types: [...this.#handlers.keys()], concurrency: this.#concurrency, labels });
    } catch (error) {
      session.close();
      throw error;
    }
    onAttached?.(session.workerId);
    return session;
  }

  #run(request: WorkerExecute, attempt: Attempt): unknown {
    return this.#runningCount < this.#concurrency
      ? this.#runNow(request, attempt)
      : this.#runLater(request, attempt);
  }

  /** R10 */
  async #runLater(request: WorkerExecute, attempt: Attempt): Promise<unknown> {
    while (this.#runningCount >= this.#concurrency) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        attempt.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      if (attempt.stopped !== undefined) throw attempt.stopped;
    }
    return await this.#runNow(request, attempt);
  }

  async #runNow({ job }: WorkerExecute, attempt: Attempt): Promise<unknown> {
    const { type } = job.spec;
    const handler = this.#handlers.get(type);
    if (handler === undefined) throw new NonRetryableError(`no handler for jobs of type "${type}"`);
    this.#runningCount += 1;
    try {
      return await handler(new GivenJob(job), attempt);
    } finally {
      this.#runningCount -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #isDoneWithin(work: Promise<void>, timeoutMs: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(this.#components.clock, timeoutMs, timer.signal).then(
      () => false,
      () => false,
    );
    try {
      return await Promise.race([work.then(() => true), late]);
    } finally {
      timer.abort(new Error('done'));
    }
  }
}

function handlersOf(definition: WorkerDefinition): ReadonlyMap<string, JobHandler> {
  if ('handlers' in definition) return new Map(Object.entries(definition.handlers));
  return new Map(definition.types.map((type) => [type, definition.handler]));
}
