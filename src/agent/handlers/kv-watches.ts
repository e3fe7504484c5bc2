import { AspenError, newId, sleep } from '../../base/index.ts';
import type { KeyFilter, KvWatch } from '../../lease/index.ts';
import { type Connection, toRpcError } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

export interface WatchRequest {
  readonly filter: KeyFilter;
  /** Undefined: from now on. */
  readonly fromRevision: number | undefined;
}

/** Watches of one connection at one time. */
const KV_WATCHES_LIMIT = 256;
/** A client that reads nothing for so long loses its watch, and can begin again from where it was. Unit: ms. */
const KV_WATCH_STALLED_MS = 30_000;

/**
 * Who watches keys over this socket. What was not told yet stays in the history: a client that reads slowly is told more slowly, and no
 * more than one notification of a watch is on its way to it. Its watch ends, with the revision to go on from, when it reads nothing at all or
 * the history goes on without it.
 */
export class KvWatches {
  readonly #daemon: Daemon;
  readonly #open = new WeakMap<Connection, Map<string, AbortController>>();

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /**
   * The notifications follow the answer that names the subscription.
   * @throws AspenError COMPACTED, RESOURCE_EXHAUSTED; NO_QUORUM when it is not known what `now` is.
   */
  async open(
    { filter, fromRevision }: WatchRequest,
    connection: Connection,
  ): Promise<{ readonly subscription: string; readonly revision: number }> {
    const { kvWatcher } = this.#daemon.node.group;
    const watch = { filter, fromRevision: fromRevision ?? (await kvWatcher.currentRevision()) + 1 };
    await kvWatcher.requireKept(watch);
    const ofConnection = this.#open.get(connection) ?? new Map<string, AbortController>();
    if (ofConnection.size >= KV_WATCHES_LIMIT) throw tooManyWatches(ofConnection.size);
    const subscription = newId('sub', this.#daemon.platform);
    const abort = new AbortController();
    this.#open.set(connection, ofConnection.set(subscription, abort));
    const signal = AbortSignal.any([abort.signal, connection.signal]);
    void this.#run(subscription, { watch, connection, signal }).finally(() =>
      ofConnection.delete(subscription),
    );
    return { subscription, revision: Math.max(0, watch.fromRevision - 1) };
  }

  close(subscription: string, connection: Connection): { readonly stopped: boolean } {
    const abort = this.#open.get(connection)?.get(subscription);
    abort?.abort(new Error('unwatched'));
    return { stopped: abort !== undefined };
  }

  async #run(subscription: string, { watch, connection, signal }: Running): Promise<void> {
    let revision = Math.max(0, watch.fromRevision - 1);
    let end = {};
    try {
      await sleep(this.#daemon.clock, 0); // the answer that names the subscription goes first
      for await (const changes of this.#daemon.node.group.kvWatcher.watch(watch, signal)) {
        revision = changes.revision;
        if (!connection.notify('kv.event', { subscription, ...changes }))
          await this.#drained(connection, signal);
      }
    } catch (error) {
      const shown = toRpcError(error);
      if (!signal.aborted) end = { reason: shown.message, error: shown };
    }
    if (!connection.signal.aborted) connection.notify('kv.watchEnd', { subscription, revision, ...end });
  }

  /** @throws AspenError RESOURCE_EXHAUSTED when the client does not read. */
  async #drained(connection: Connection, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const over = AbortSignal.any([signal, stop.signal]);
    const stalled = sleep(this.#daemon.clock, KV_WATCH_STALLED_MS, over).then(
      () => true,
      () => false,
    );
    const isStalled = await Promise.race([connection.drained().then(() => false), stalled]);
    stop.abort(new Error('drained'));
    if (!isStalled) return;
    throw new AspenError(
      'RESOURCE_EXHAUSTED',
      `nothing was read for ${KV_WATCH_STALLED_MS} ms: watch again from the revision after this one`,
      { details: { limit: 'KV_WATCH_STALLED_MS' } },
    );
  }
}

interface Running {
  readonly watch: KvWatch;
  readonly connection: Connection;
  readonly signal: AbortSignal;
}

function tooManyWatches(count: number): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `this connection has ${count} watches (KV_WATCHES_LIMIT)`, {
    details: { limit: 'KV_WATCHES_LIMIT' },
  });
}
