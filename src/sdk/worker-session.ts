import { AspenError, SlotMap, silentLogger } from '../base/index.ts';
import type { Result, WorkerCancel, WorkerExecute, WorkerSettled } from '../rpc/index.ts';
import { type LineDuplex, RpcPeer } from '../rpc/os-client.ts';
import { Attempt } from './attempt.ts';
import { failureOf } from './job-failure.ts';
import type { Pulse } from './pulse.ts';

export interface WorkerSessionComponents {
  readonly duplex: LineDuplex;
  /** Does the work; what it throws fails the attempt. */
  readonly run: (request: WorkerExecute, attempt: Attempt) => unknown;
  readonly onSettled: (settled: WorkerSettled) => void;
  /** Beats for attempts whose silence is limited. */
  readonly pulse: Pulse;
}

export interface AttachParams {
  readonly types: readonly string[];
  readonly concurrency: number;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * One connection of a worker, from attaching to its close. The attempts that came over it end with it: the agent has given them back by
 * then, so whatever they would still come to is nobody's.
 */
export class WorkerSession {
  readonly #peer: RpcPeer;
  readonly #components: WorkerSessionComponents;
  readonly #attempts = new SlotMap<string, Attempt>();
  readonly #idle: (() => void)[] = [];
  /** Names of the attempts whose outcome the group has not taken or refused yet. */
  readonly #unsettled = new Set<string>();
  workerId = '';

  constructor(components: WorkerSessionComponents) {
    this.#components = components;
    this.#peer = new RpcPeer({
      duplex: components.duplex,
      logger: silentLogger,
      handle: (method, params) => this.#take(method, params),
    });
    this.#peer.signal.addEventListener('abort', () => this.#end(), { once: true });
  }

  /** Aborted when the connection has closed. */
  get closed(): AbortSignal {
    return this.#peer.signal;
  }

  /** @throws AspenError as the agent answered. */
  async attach(params: AttachParams): Promise<void> {
    const { workerId } = (await this.#peer.request('worker.attach', params)) as Result<'worker.attach'>;
    this.workerId = workerId;
  }

  /** Takes nothing more. @returns when all it had is settled, or the connection has closed. */
  async drain(): Promise<void> {
    try {
      await this.#peer.request('worker.detach', { workerId: this.workerId });
    } catch (error) {
      if (!this.closed.aborted) throw error;
    }
    while (!this.closed.aborted && (this.#attempts.size > 0 || this.#unsettled.size > 0)) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  stopAll(reason: WorkerCancel['reason']): void {
    for (const attempt of this.#attempts.values()) attempt.stop(reason);
  }

  close(): void {
    this.#peer.close();
  }

  #take(method: string, params: unknown): Promise<unknown> {
    if (method === 'worker.execute') return this.#execute(params as WorkerExecute);
    if (method === 'worker.cancel') {
      const { jobId, attempt, reason } = params as WorkerCancel;
      this.#attempts.get(nameOf(jobId, attempt))?.stop(reason);
    } else if (method === 'worker.settled') this.#settled(params as WorkerSettled);
    else return Promise.reject(new AspenError('METHOD_NOT_FOUND', `a worker has no method "${method}"`));
    return Promise.resolve(null);
  }

  async #execute(request: WorkerExecute): Promise<unknown> {
    const name = nameOf(request.job.id, request.attempt);
    const attempt = new Attempt(this.#peer, request);
    this.#attempts.set(name, attempt);
    this.#unsettled.add(name);
    const beating = this.#beat(request);
    try {
      return await this.#components.run(request, attempt);
    } catch (error) {
      throw failureOf(error);
    } finally {
      beating?.[Symbol.dispose]();
      this.#attempts.delete(name);
      if (this.#idle.length > 0) this.#wake();
    }
  }

  /** @returns undefined where silence is not limited, which costs nothing. */
  #beat({ workerId, job, attempt, fencingToken }: WorkerExecute): Disposable | undefined {
    const { heartbeatTimeoutMs } = job.spec;
    if (typeof heartbeatTimeoutMs !== 'number') return undefined;
    const { pulse } = this.#components;
    const pulsed = { workerId, jobId: job.id, attempt, fencingToken, heartbeatTimeoutMs };
    pulse.begin(pulsed);
    return { [Symbol.dispose]: () => pulse.end(pulsed) };
  }

  #settled(settled: WorkerSettled): void {
    this.#unsettled.delete(nameOf(settled.jobId, settled.attempt));
    this.#components.onSettled(settled);
    if (this.#idle.length > 0) this.#wake();
  }

  #end(): void {
    this.stopAll('lost');
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#idle.splice(0)) wake();
  }
}

function nameOf(jobId: string, attempt: number): string {
  return `${jobId}/${attempt}`;
}
