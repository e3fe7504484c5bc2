import { AspenError, newId, sleep, toWireError } from '../../base/index.ts';
import type { Connection } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

/** Subscriptions of one connection at one time, of one method. */
const PER_CONNECTION_LIMIT = 256;

/** Notes that go to whoever subscribed, until they are told to stop, the source ends, or the connection closes. */
export class Subscriptions {
  readonly #daemon: Daemon;
  readonly #endMethod: string;
  readonly #open = new WeakMap<Connection, Map<string, AbortController>>();

  /** @param endMethod the notification that ends each subscription. */
  constructor(daemon: Daemon, endMethod: string) {
    this.#daemon = daemon;
    this.#endMethod = endMethod;
  }

  /**
   * @param notes what to tell; ends when its signal aborts. The notifications follow the answer that names the subscription.
   * @throws AspenError RESOURCE_EXHAUSTED.
   */
  open(
    method: string,
    connection: Connection,
    notes: (signal: AbortSignal) => AsyncIterable<object>,
  ): { readonly subscription: string } {
    const ofConnection = this.#open.get(connection) ?? new Map<string, AbortController>();
    if (ofConnection.size >= PER_CONNECTION_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `this connection has ${ofConnection.size} subscriptions`, {
        details: { limit: 'PER_CONNECTION_LIMIT' },
      });
    }
    const subscription = newId('sub', this.#daemon.platform);
    const abort = new AbortController();
    this.#open.set(connection, ofConnection.set(subscription, abort));
    const signal = AbortSignal.any([abort.signal, connection.signal]);
    void this.#run({ subscription, method, signal }, connection, notes).finally(() =>
      ofConnection.delete(subscription),
    );
    return { subscription };
  }

  close(subscription: string, connection: Connection): { readonly stopped: boolean } {
    const abort = this.#open.get(connection)?.get(subscription);
    abort?.abort(new Error('unsubscribed'));
    return { stopped: abort !== undefined };
  }

  async #run(
    {
      subscription,
      method,
      signal,
    }: { readonly subscription: string; readonly method: string; readonly signal: AbortSignal },
    connection: Connection,
    notes: (signal: AbortSignal) => AsyncIterable<object>,
  ): Promise<void> {
    let reason: string | undefined;
    try {
      await sleep(this.#daemon.clock, 0); // the answer that names the subscription goes first
      for await (const note of notes(signal)) {
        if (!connection.notify(method, { subscription, ...note })) await connection.drained();
      }
    } catch (error) {
      if (!signal.aborted) reason = toWireError(error).message;
    }
    if (connection.signal.aborted) return;
    connection.notify(this.#endMethod, { subscription, ...(reason !== undefined && { reason }) });
  }
}
