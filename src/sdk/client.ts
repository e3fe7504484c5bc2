import {
  AspenError,
  backoffMs,
  type Clock,
  type Random,
  sleep,
  whenAborted,
  withDeadline,
} from '../base/index.ts';
import { OsClock } from '../base/os-clock.ts';
import { OsRandom } from '../base/os-random.ts';
import type { Job, JobChange, MethodName, ParamsInput, Result } from '../rpc/index.ts';
import { dialSocket, type LineDuplex, MUTATING_METHODS } from '../rpc/os-client.ts';
import { type ConnectOptions, socketOf } from './connect-options.ts';
import { AgentConnection } from './connection.ts';
import { keepAlive } from './keep-alive.ts';
import { type KvEvent, type KvWatchOptions, watchKeys } from './kv-watch.ts';
import type { LogChunk } from './log-stream.ts';

export interface CallOptions {
  /**
   * How long the call waits for its answer, reconnecting if it must and, where this is given, trying again while there is no quorum.
   * Unit: ms. @default that of `connect`
   */
  readonly timeoutMs?: number;
  /** How much of that it tries again while there is no quorum. Unit: ms. @default all of it */
  readonly quorumMs?: number;
  /** Ends the waiting; what was sent may have its effect nevertheless. */
  readonly signal?: AbortSignal;
}

/** What `observeElection` tells: who leads, and what it proclaims. */
export type ElectionChange = Result<'election.leader'> & { readonly name: string };

export interface LogsOptions {
  /** Go on until the job is final. @default false */
  readonly follow?: boolean;
  /**
   * Where to go on: after a piece, its offset and the count of its bytes. Where the job runs again since then, its latest attempt is given from
   * the beginning. @default 0
   */
  readonly fromOffset?: number;
  /** Ends the reading, without an error. */
  readonly signal?: AbortSignal;
}

/** Beyond what the agent was told to wait, so that its own answer wins. Unit: ms. */
const ANSWER_MARGIN_MS = 2_000;

/** How long an agent that went away may take to come back. Unit: ms. */
const RECONNECT_MS = 5_000;

/** How long a call waits that was given no time; it is refused as soon as the agent knows of no quorum. Unit: ms. */
const ANSWER_MS = 30_000;

/** Between two tries while there is no quorum. Unit: ms. */
const QUORUM_PAUSE_MS = 250;

/** Their effect is that the agent goes or changes: asking again at another agent would be another request. */
const NEVER_REPEATED: ReadonlySet<MethodName> = new Set<MethodName>([
  'agent.stop',
  'mesh.leave',
  'mesh.join',
]);

interface ClientComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: () => Promise<LineDuplex>;
}

/**
 * A client of the agent on this machine. When the connection breaks, calls connect again and repeat themselves.
 *
 * - R9 A mutating call carries one request id over all its repetitions, so that it has its effect once.
 */
export class AspenClient implements Disposable {
  readonly #components: ClientComponents;
  /** Undefined where nobody said. */
  readonly #timeoutMs: number | undefined;
  #connection: AgentConnection | undefined;
  #connecting: Promise<AgentConnection> | undefined;
  #isClosed = false;

  private constructor(components: ClientComponents, timeoutMs: number | undefined) {
    this.#components = components;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws AspenError UNAVAILABLE, outcome not-applied, when no agent answers. */
  static async connect(options: ConnectOptions): Promise<AspenClient> {
    const path = socketOf(options);
    const components = { clock: new OsClock(), random: new OsRandom(), dial: () => dialSocket(path) };
    const client = new AspenClient(components, options.timeoutMs);
    await client.#connected();
    return client;
  }

  /** Calls a method of the socket. @throws AspenError as the agent answered; DEADLINE_EXCEEDED, UNAVAILABLE. */
  call<M extends MethodName>(
    method: M,
    params: ParamsInput<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    const { clock } = this.#components;
    const { timeoutMs: givenMs = this.#timeoutMs, quorumMs = givenMs ?? 0, signal } = options;
    const timeoutMs = givenMs ?? ANSWER_MS;
    const isMutating = MUTATING_METHODS.has(method);
    const sent = isMutating ? { requestId: this.#newRequestId(), ...params } : params;
    return withKeptAlive(() =>
      withDeadline({ clock, timeoutMs, what: method, ...(signal ? { signal } : {}) }, (ended) =>
        this.#callUntilQuorum(method, sent, { ended, patienceMs: quorumMs }),
      ),
    ) as Promise<Result<M>>;
  }

  /**
   * Hands a job to the mesh. @returns its id once it is durable.
   * @throws AspenError INVALID_PARAMS naming what does not fit the spec, NO_QUORUM where nothing can be agreed: then nothing was submitted.
   */
  submit(spec: ParamsInput<'job.submit'>, options?: CallOptions): Promise<Result<'job.submit'>> {
    return this.call('job.submit', spec, options);
  }

  /** @throws AspenError NOT_FOUND where there is no such job, or no longer. */
  get(id: string): Promise<Job> {
    return this.call('job.get', { id });
  }

  /** @returns the job once it is final. @throws AspenError DEADLINE_EXCEEDED when it is not in time, NOT_FOUND. */
  wait(id: string, { timeoutMs = this.#timeoutMs ?? ANSWER_MS, signal }: CallOptions = {}): Promise<Job> {
    const options = { timeoutMs: timeoutMs + ANSWER_MARGIN_MS, ...(signal ? { signal } : {}) };
    return this.call('job.wait', { id, timeoutMs }, options);
  }

  /** Ends a job before it is final. @returns the job, `cancelling` while an attempt of it still ends. @throws AspenError NOT_FOUND, CONFLICT where it ended otherwise. */
  cancel(id: string, reason?: string): Promise<Job> {
    return this.call('job.cancel', reason === undefined ? { id } : { id, reason });
  }

  /**
   * The output of a job, piece by piece, each with the number of its attempt; a later attempt's begins anew. Ending the loop early ends the
   * subscription.
   * @throws AspenError NOT_FOUND; UNAVAILABLE after the last piece when the output ended early.
   */
  async *logs(
    id: string,
    { signal, ...options }: LogsOptions = {},
  ): AsyncGenerator<LogChunk, void, undefined> {
    const connection = await this.#connected();
    const { subscription } = (await connection.peer.request('job.logs', {
      id,
      ...options,
    })) as Result<'job.logs'>;
    const stream = connection.claim(subscription);
    const keptAlive = keepAlive();
    try {
      yield* stream.read(signal);
    } finally {
      keptAlive[Symbol.dispose]();
      connection.release(subscription);
      connection.end('job.logsStop', subscription);
    }
  }

  /** The leader of an election and what it proclaims: now, and after each change. Ending the loop early ends the subscription. */
  observeElection(name: string, signal?: AbortSignal): AsyncGenerator<ElectionChange, void, undefined> {
    return this.#notes<ElectionChange>(['election.observe', 'election.observeStop'], { name }, signal);
  }

  /** The endpoints of a service: now, and after each change. Ending the loop early ends the subscription. */
  watchService(name: string, signal?: AbortSignal): AsyncGenerator<Result<'service.get'>, void, undefined> {
    return this.#notes<Result<'service.get'>>(['service.watch', 'service.watchStop'], { name }, signal);
  }

  /**
   * Changes of jobs from now on, or after a cursor. Ending the loop early ends the subscription.
   * @throws AspenError INVALID_PARAMS for a cursor that is none; UNAVAILABLE when changes were missed or the connection broke, RESOURCE_EXHAUSTED when too many wait to be read.
   */
  watchJobs(
    params: ParamsInput<'job.watch'> = {},
    signal?: AbortSignal,
  ): AsyncGenerator<Omit<JobChange, 'subscription'>, void, undefined> {
    return this.#notes<Omit<JobChange, 'subscription'>>(['job.watch', 'job.watchStop'], params, signal);
  }

  /** Keys and values that the mesh agrees on. Keys have at most 1,024 bytes, values 1 MiB. */
  readonly kv = {
    /** @returns `{value, revision, version, createRevision, leaseId?}`; null where the key is absent. */
    get: (key: string, options: Omit<ParamsInput<'kv.get'>, 'key'> = {}) =>
      this.call('kv.get', { key, ...options }),
    /** @param options `ttlMs` or `leaseId` let the key end. @returns `{revision}`. */
    put: (key: string, value: string, options: { readonly ttlMs?: number; readonly leaseId?: string } = {}) =>
      this.call('kv.put', { key, value, ...options }),
    /** @returns `{deleted, revision}`; `deleted` is false where the key was absent. */
    delete: (key: string) => this.call('kv.delete', { key }),
    /** Sets a key where it has the value expected; null expects no key, or deletes it. @returns `{swapped, current, revision}`. */
    cas: (key: string, change: { readonly expected: string | null; readonly value: string | null }) =>
      this.call('kv.cas', { key, ...change }),
    /** If all of `compare` holds, does `success`, else `failure`: as one change with one revision. */
    txn: (txn: Omit<ParamsInput<'kv.txn'>, 'requestId'>) => this.call('kv.txn', txn),
    /** @returns `{entries, cursor?}` in the order of keys, 1,000 unless `limit` says otherwise; with a cursor there is more. */
    scan: (prefix: string, options: Omit<ParamsInput<'kv.scan'>, 'prefix'> = {}) =>
      this.call('kv.scan', { prefix, ...options }),
    /**
     * Changes of a key, or of all with a prefix: each once and in order, also when the agent goes away and comes back. Ending the loop
     * early ends the watch. @throws AspenError COMPACTED when what comes next is no longer kept.
     */
    watch: (
      filter: { readonly key: string } | { readonly prefix: string },
      options: KvWatchOptions = {},
    ): AsyncGenerator<KvEvent, void, undefined> =>
      watchKeys(
        { ...this.#components, connected: () => this.#connected(), isClosed: () => this.#isClosed },
        filter,
        options,
      ),
  };

  /** Resolves when the connection of this moment has closed. */
  disconnected(): Promise<void> {
    const signal = this.#connection?.peer.signal;
    return signal === undefined ? Promise.resolve() : whenAborted(signal);
  }

  /** Calls that wait for an answer are rejected with UNAVAILABLE; later ones are, too. */
  close(): void {
    this.#isClosed = true;
    this.#connection?.peer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *#notes<N>(
    [method, stopMethod]: readonly [MethodName, MethodName],
    params: object,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<N, void, undefined> {
    const connection = await this.#connected();
    const answer = (await connection.peer.request(method, params)) as { readonly subscription: string };
    const { subscription } = answer;
    const stream = connection.claimNotes(subscription);
    using _ = keepAlive();
    try {
      yield* stream.read(signal) as AsyncGenerator<N, void, undefined>;
    } finally {
      connection.releaseNotes(subscription);
      connection.end(stopMethod, subscription);
    }
  }

  /** Refused before anything changed: asking again is safe, and another request id would not be (R9). */
  async #callUntilQuorum(
    method: MethodName,
    params: unknown,
    { ended, patienceMs }: { readonly ended: AbortSignal; readonly patienceMs: number },
  ): Promise<unknown> {
    const { clock } = this.#components;
    const endMs = clock.monotonicMs() + patienceMs;
    for (;;) {
      try {
        return await this.#callUntilAnswered(method, params, ended);
      } catch (error) {
        const isWorthwhile = isWithoutQuorum(error) && !NEVER_REPEATED.has(method);
        if (!isWorthwhile || clock.monotonicMs() + QUORUM_PAUSE_MS >= endMs) throw error;
      }
      await sleep(clock, QUORUM_PAUSE_MS, ended);
    }
  }

  /** The first try fails at once when no agent answers; once a connection broke, the agent has time to come back. */
  async #callUntilAnswered(method: MethodName, params: unknown, ended: AbortSignal): Promise<unknown> {
    const { clock, random } = this.#components;
    const giveUpAtMs = clock.monotonicMs() + RECONNECT_MS;
    let broken: unknown;
    for (let attempt = 1; ; attempt += 1) {
      const connection = await this.#connected().catch((error: unknown) => {
        if (broken === undefined) throw error;
        if (clock.monotonicMs() > giveUpAtMs) throw broken;
        return undefined;
      });
      try {
        if (connection !== undefined) return await connection.peer.request(method, params);
      } catch (error) {
        if (connection?.isClosed !== true || NEVER_REPEATED.has(method) || this.#isClosed) throw error;
        broken = error;
      }
      await sleep(clock, backoffMs(attempt, random, { firstMs: 20, mostMs: 500 }), ended);
    }
  }

  async #connected(): Promise<AgentConnection> {
    if (this.#isClosed) {
      throw new AspenError('UNAVAILABLE', 'this client is closed', { outcome: 'not-applied' });
    }
    if (this.#connection !== undefined && !this.#connection.isClosed) return this.#connection;
    this.#connecting ??= this.#dial().finally(() => {
      this.#connecting = undefined;
    });
    return await this.#connecting;
  }

  async #dial(): Promise<AgentConnection> {
    this.#connection = new AgentConnection(await this.#components.dial());
    return this.#connection;
  }

  #newRequestId(): string {
    return Buffer.from(this.#components.random.bytes(12)).toString('base64url');
  }
}

/** A pending call keeps the process alive even while there is no socket to do it. */
async function withKeptAlive<T>(work: () => Promise<T>): Promise<T> {
  using _ = keepAlive();
  return await work();
}

/** Nothing was changed, and nothing can be until a majority is there. */
function isWithoutQuorum(error: unknown): boolean {
  return error instanceof AspenError && error.code === 'NO_QUORUM' && error.outcome === 'not-applied';
}
