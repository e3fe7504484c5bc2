import { newId, type PeerId, toWireError } from '../../base/index.ts';
import { followOutput, isFinal, type JobView } from '../../jobs/index.ts';
import { type Connection, type JobLog, resultOfLatest } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { Utf8Pieces } from './utf8-pieces.ts';

export interface LogRequest {
  readonly jobId: string;
  readonly follow: boolean;
  readonly fromOffset: number;
}

const LOCATE_TIMEOUT_MS = 5_000;

/** Who follows the output of which job over this socket. A subscription ends with the output, by request, or with its connection. */
export class LogSubscriptions {
  readonly #daemon: Daemon;
  readonly #open = new WeakMap<Connection, Map<string, AbortController>>();

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** @returns the id of the subscription; its notifications follow the answer. */
  open(request: LogRequest, connection: Connection): string {
    const subscription = newId('sub', this.#daemon.platform);
    const abort = new AbortController();
    const ofConnection = this.#open.get(connection) ?? new Map<string, AbortController>();
    this.#open.set(connection, ofConnection.set(subscription, abort));
    const signal = AbortSignal.any([abort.signal, connection.signal]);
    void this.#run(subscription, request, connection, signal).finally(() =>
      ofConnection.delete(subscription),
    );
    return subscription;
  }

  close(subscription: string, connection: Connection): boolean {
    const abort = this.#open.get(connection)?.get(subscription);
    abort?.abort(new Error('unsubscribed'));
    return abort !== undefined;
  }

  async #run(
    subscription: string,
    request: LogRequest,
    connection: Connection,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#deliver(subscription, request, connection, signal);
      connection.notify('job.logEnd', { subscription });
    } catch (error) {
      if (!connection.signal.aborted)
        connection.notify('job.logEnd', { subscription, reason: toWireError(error).message });
    }
  }

  async #deliver(
    subscription: string,
    { jobId, follow, fromOffset }: LogRequest,
    connection: Connection,
    signal: AbortSignal,
  ): Promise<void> {
    const { node } = this.#daemon;
    const locate = async (id: string) => {
      const job = await node.group.client.askLeader<JobView>(
        'jobs/wait',
        { id, waitMs: 0 },
        { timeoutMs: LOCATE_TIMEOUT_MS, signal },
      );
      const { state, attempt, node: runsOn } = job;
      const result = resultOfLatest(job);
      return { state, isFinal: isFinal(state), attempt, node: runsOn as PeerId | null, result };
    };
    const parts = {
      messenger: node.requests,
      store: node.outputs,
      clock: this.#daemon.clock,
      locate,
    };
    const pieces = new Utf8Pieces();
    const send = async (logs: readonly Omit<JobLog, 'subscription'>[]) => {
      for (const log of logs)
        if (!connection.notify('job.log', { subscription, ...log })) await connection.drained();
    };
    for await (const chunk of followOutput(parts, jobId, { follow, fromOffset, signal }))
      await send(pieces.add(chunk));
    await send(pieces.rest());
  }
}
