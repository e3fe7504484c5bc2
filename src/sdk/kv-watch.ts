import { AspenError, backoffMs, type Clock, pause, type Random } from '../base/index.ts';
import type { Result } from '../rpc/index.ts';
import type { AgentConnection } from './connection.ts';
import { keepAlive } from './keep-alive.ts';

/** A change of a key. */
export interface KvEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Null when the key was deleted. */
  readonly value: string | null;
  /** Of the change that this is part of; grows from change to change. */
  readonly revision: number;
  /** Writes since the key was absent; 0 when it was deleted. */
  readonly version: number;
  /** What the key held before; absent when nothing. */
  readonly previous?: { readonly value: string; readonly revision: number; readonly version: number };
}

export interface KvWatchOptions {
  /** The first revision that is told. @default what happens from now on */
  readonly fromRevision?: number;
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal;
}

export interface KvWatchComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly connected: () => Promise<AgentConnection>;
  readonly isClosed: () => boolean;
}

/** Notifications kept for a consumer that is slower than the agent; beyond it they are asked for again later. */
const NOTES_LIMIT = 256;
/** How long a watch tries to find the agent again. Unit: ms. */
const RECONNECT_MS = 30_000;

interface Note {
  readonly events: readonly KvEvent[];
  readonly revision: number;
}

/**
 * How far a watch has come, by what its consumer has taken.
 *
 * - R11 A watch that begins again leaves nothing out and tells nothing twice: from the revision after the last that is complete, less as
 *   many changes of it as were taken already. Those of one revision come in one order, whoever tells them.
 */
export class WatchPlace {
  /** Undefined before it is known what `now` is. */
  #complete: number | undefined;
  #hasBegun = false;
  #last = { revision: 0, taken: 0 };
  #skip = { revision: 0, left: 0 };

  constructor(fromRevision: number | undefined) {
    this.#complete = fromRevision === undefined ? undefined : fromRevision - 1;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get fromRevision(): number | undefined {
    return this.#complete === undefined ? undefined : this.#complete + 1;
  }

  /** @param revision that the agent begins after. */
  begun(revision: number): void {
    this.#hasBegun = true;
    this.#complete ??= revision;
    const { taken, revision: last } = this.#last;
    this.#skip = { revision: last, left: last > this.#complete ? taken : 0 };
  }

  /** @returns whether the event is to be told. */
  take({ revision }: Pick<KvEvent, 'revision'>): boolean {
    if (revision === this.#skip.revision && this.#skip.left > 0) {
      this.#skip = { revision, left: this.#skip.left - 1 };
      return false;
    }
    this.#last = { revision, taken: this.#last.revision === revision ? this.#last.taken + 1 : 1 };
    this.complete(revision - 1);
    return true;
  }

  complete(revision: number): void {
    this.#complete = Math.max(this.#complete ?? 0, revision);
  }
}

/**
 * Changes of a key or of all with a prefix, over every loss of the connection and the agent.
 * @throws AspenError COMPACTED when what comes next is no longer kept; UNAVAILABLE when the agent does not come back.
 */
export async function* watchKeys(
  { clock, random, connected, isClosed }: KvWatchComponents,
  filter: { readonly key: string } | { readonly prefix: string },
  { fromRevision, signal = new AbortController().signal }: KvWatchOptions,
): AsyncGenerator<KvEvent, void, undefined> {
  using _ = keepAlive();
  const place = new WatchPlace(fromRevision);
  let [failures, triedSinceMs] = [0, clock.monotonicMs()];
  while (!signal.aborted) {
    try {
      for await (const note of notesFrom(await connected(), { filter, place, signal })) {
        [failures, triedSinceMs] = [0, Number.POSITIVE_INFINITY];
        for (const event of note.events) if (place.take(event)) yield event;
        place.complete(note.revision);
      }
      return; // unwatched
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AspenError) || error.retry === 'never' || isClosed()) throw error;
      if (!place.hasBegun) throw error;
      triedSinceMs = Math.min(triedSinceMs, clock.monotonicMs());
      if (clock.monotonicMs() - triedSinceMs > RECONNECT_MS) throw error;
      failures += 1;
      const pauseMs = backoffMs(failures, random, { firstMs: 20, mostMs: 500 });
      await pause(clock, pauseMs, signal);
    }
  }
}

async function* notesFrom(
  connection: AgentConnection,
  {
    filter,
    place,
    signal,
  }: { readonly filter: object; readonly place: WatchPlace; readonly signal: AbortSignal },
): AsyncGenerator<Note, void, undefined> {
  const { fromRevision } = place;
  const params = fromRevision === undefined ? filter : { ...filter, fromRevision: Math.max(0, fromRevision) };
  const answer = (await connection.peer.request('kv.watch', params)) as Result<'kv.watch'>;
  const { subscription } = answer;
  place.begun(answer.revision);
  const stream = connection.claimNotes(subscription, NOTES_LIMIT);
  try {
    yield* stream.read(signal) as unknown as AsyncGenerator<Note, void, undefined>;
  } finally {
    connection.releaseNotes(subscription);
    connection.end('kv.unwatch', subscription);
  }
}
