import {
  AspenError,
  type Clock,
  type Crypto,
  every,
  type Logger,
  type PeerId,
  type Random,
  type Startable,
  type Timer,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { BlobId } from './blob-id.ts';
import type { BlobStat } from './blob-stat.ts';
import { CHUNK_BYTES, chunkCountOf } from './chunks.ts';
import { Fetch, type FetchOptions } from './fetch.ts';
import { HolderBook, type HolderRecord } from './holder-book.ts';
import type { KeepOptions } from './keep-rules.ts';
import { serveBlobs } from './server.ts';
import type { BlobStore } from './store.ts';
import { METHODS, readHolding, readKeepAsk } from './wire.ts';

export interface BlobsComponents {
  readonly self: PeerId;
  readonly store: BlobStore;
  readonly messenger: Pick<Messenger, 'request' | 'connected' | 'onPeer' | 'handle'>;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly log: Logger;
  /** Whether this member may leave copies here. @default any member */
  readonly mayKeep?: ((peerId: PeerId) => boolean) | undefined;
  /** Links a member that is not linked. */
  readonly connect?: ((peerId: PeerId, signal: AbortSignal) => Promise<void>) | undefined;
  /** @returns those jobs of which no record is kept any more. Rejects where that cannot be known now. */
  readonly forgottenJobs?: ((jobIds: readonly string[]) => Promise<readonly string[]>) | undefined;
  readonly onFailure: (error: unknown) => void;
}

export interface BlobsOptions {
  readonly fetch?: FetchOptions;
  /** Pause between collections. Unit: ms. @default 10 min */
  readonly collectEveryMs?: number;
  /** A job is given so long to appear in the records before a blob is no longer kept for it. Unit: ms. @default 1 h */
  readonly referenceGraceMs?: number;
}

export interface EnsureOptions extends KeepOptions {
  /** Who probably has it. */
  readonly hints?: readonly PeerId[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (stat: BlobStat) => void;
}

/** A part of a blob. */
export interface BlobPart {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

/** Blobs that are fetched at a time. */
const FETCHES_LIMIT = 64;
/** How long another node may take to copy a blob. Unit: ms. */
const KEEP_TIMEOUT_MS = 10 * 60_000;
const HAVE_TIMEOUT_MS = 2_000;
/** Members asked for {@link Blobs.holders}. */
const HOLDERS_ASKED_LIMIT = 64;
/** References looked at in one collection. */
const REFERENCES_LOOKED_AT = 1_000;

/** A fetch that nobody waits for goes on for so long: who reads part by part comes back. Unit: ms. */
const LINGER_MS = 5_000;

interface Running {
  readonly fetch: Fetch;
  users: number;
  /** Set while nobody waits. */
  lingering: Timer | undefined;
}

/** The blobs of the mesh, as one node sees them: its own, and what it can get from others. */
export class Blobs implements Startable {
  readonly store: BlobStore;
  readonly #components: BlobsComponents;
  readonly #options: BlobsOptions;
  readonly #book: HolderBook;
  readonly #fetches = new Map<BlobId, Running>();
  /** Stopped, and not over yet. */
  readonly #ending = new Set<Fetch>();
  #parts: readonly Disposable[] = [];
  #collecting: Promise<void> = Promise.resolve();

  constructor(components: BlobsComponents, options: BlobsOptions = {}) {
    this.#components = components;
    this.#options = options;
    this.store = components.store;
    this.#book = new HolderBook(components.clock);
  }

  async start(): Promise<void> {
    const { messenger, store, clock } = this.#components;
    await store.open();
    this.#parts = [
      serveBlobs({ messenger, store }),
      messenger.handle(METHODS.keep, ({ from, body }) => this.#onKeep(from, body)),
      every(clock, this.#options.collectEveryMs ?? 600_000, () => {
        this.#collecting = this.#collecting.then(() => this.#collectQuietly());
      }),
    ];
  }

  async stop(): Promise<void> {
    for (const part of this.#parts) part[Symbol.dispose]();
    const stopping = new AspenError('UNAVAILABLE', 'this node is stopping', { outcome: 'not-applied' });
    const fetches = [...[...this.#fetches.values()].map(({ fetch }) => fetch), ...this.#ending];
    for (const fetch of fetches) fetch.stop(stopping);
    await Promise.allSettled(fetches.map(({ ended }) => ended));
    await this.#collecting;
    await this.store.close();
  }

  /** What was noticed of the members as holders. */
  holderRecords(): readonly HolderRecord[] {
    return this.#book.records();
  }

  /** Fetches under way. */
  get fetchCount(): number {
    return this.#fetches.size;
  }

  /**
   * Brings the whole of a blob here, unless it is.
   * @throws AspenError NOT_FOUND when nobody who can be reached has it, after some patience; RESOURCE_EXHAUSTED when it does not fit.
   */
  async ensure(id: BlobId, options: EnsureOptions = {}): Promise<BlobStat> {
    const { hints = [], signal, onProgress, ...keep } = options;
    if (this.store.isComplete(id)) {
      if (keep.jobId !== undefined) await this.store.refer(id, keep.jobId, keep.keptForMs);
      if (keep.isPinned === true) await this.store.pin(id, true);
      return this.store.stat(id) as BlobStat;
    }
    using running = this.#fetching(id, { hints, keep });
    using _ = running.fetch.onProgress(() => {
      const stat = this.store.stat(id);
      if (stat !== undefined) onProgress?.(stat);
    });
    await orAborted(running.fetch.ended, signal);
    if (keep.isPinned === true) await this.store.pin(id, true);
    if (keep.jobId !== undefined) await this.store.refer(id, keep.jobId, keep.keptForMs);
    const stat = this.store.stat(id);
    if (stat === undefined)
      throw new AspenError('UNAVAILABLE', `blob ${id} was removed while it was fetched`);
    return stat;
  }

  /**
   * Reads a part of a blob, fetching what is not here; it need not wait for the whole.
   * @returns at most what was asked for, less at the end; never across the end of a chunk.
   * @throws AspenError as {@link ensure}
   */
  async read(
    id: BlobId,
    {
      offset,
      lengthBytes,
      signal,
    }: { readonly offset: number; readonly lengthBytes: number; readonly signal?: AbortSignal },
  ): Promise<BlobPart> {
    const index = Math.floor(offset / CHUNK_BYTES);
    const chunk = (await this.store.readChunk(id, index)) ?? (await this.#fetchChunk(id, { index, signal }));
    const { sizeBytes } = this.store.stat(id) ?? { sizeBytes: offset };
    const start = offset - index * CHUNK_BYTES;
    return { bytes: chunk.subarray(start, start + lengthBytes), sizeBytes };
  }

  /** @returns connected members that have the whole of it, and whether this node has. */
  async holders(id: BlobId): Promise<readonly PeerId[]> {
    const { messenger, self } = this.#components;
    const asked = messenger.connected().slice(0, HOLDERS_ASKED_LIMIT);
    const answers = await Promise.all(
      asked.map(async (peerId) => ((await this.#hasWhole(peerId, id)) ? [peerId] : [])),
    );
    return [...(this.store.isComplete(id) ? [self] : []), ...answers.flat()];
  }

  /**
   * Has further members keep copies of what is here.
   * @param candidates those to ask, the best first. @returns who has it durably now, at most `count` of them.
   */
  async replicate(
    id: BlobId,
    {
      count,
      candidates,
      jobId,
      keptForMs,
      timeoutMs = KEEP_TIMEOUT_MS,
    }: {
      readonly count: number;
      readonly candidates: readonly PeerId[];
      readonly jobId?: string | undefined;
      /** For how long the job needs it at most. Unit: ms. @default as long as the job is on record */
      readonly keptForMs?: number | undefined;
      /** For each of them. @default 10 min */
      readonly timeoutMs?: number;
    },
  ): Promise<readonly PeerId[]> {
    const { messenger, log } = this.#components;
    const kept: PeerId[] = [];
    for (const peerId of candidates) {
      if (kept.length >= count) break;
      try {
        const ask = [id, jobId ?? null, ...(keptForMs === undefined ? [] : [keptForMs])];
        const answer = await messenger.request(peerId, METHODS.keep, ask, { timeoutMs });
        if (answer === true) kept.push(peerId);
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        log.debug({ err, peerId, id }, 'a copy was not taken');
      }
    }
    return kept;
  }

  /** Lets go of what was kept for jobs that are no longer on record or for long enough, then of what nothing names. */
  async collect(): Promise<void> {
    await this.store.unreferOld();
    await this.#dropReferences();
    await this.store.collect();
  }

  /** What a disk does not let go now is let go the next time. */
  async #collectQuietly(): Promise<void> {
    try {
      await this.collect();
    } catch (err) {
      if (err instanceof AspenError)
        this.#components.log.warn({ err }, 'blobs not collected, will try again');
      else this.#components.onFailure(err);
    }
  }

  async #dropReferences(): Promise<void> {
    const { forgottenJobs, clock, log } = this.#components;
    if (forgottenJobs === undefined) return;
    const graceMs = this.#options.referenceGraceMs ?? 3_600_000;
    const old = this.store
      .references()
      .filter(({ sinceMs }) => clock.wallMs() - sinceMs >= graceMs)
      .slice(0, REFERENCES_LOOKED_AT);
    if (old.length === 0) return;
    try {
      const forgotten = new Set(await forgottenJobs([...new Set(old.map(({ jobId }) => jobId))]));
      for (const { id } of old) await this.store.unrefer(id, forgotten);
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      log.debug({ err }, 'jobs not known now, blobs kept for them stay');
    }
  }

  #fetching(
    id: BlobId,
    { hints, keep }: { readonly hints: readonly PeerId[]; readonly keep: KeepOptions },
  ): Disposable & { readonly fetch: Fetch } {
    const running = this.#fetches.get(id) ?? this.#beginFetch(id, { hints, keep });
    running.fetch.hint(hints);
    running.users += 1;
    running.lingering?.cancel();
    return {
      fetch: running.fetch,
      [Symbol.dispose]: () => {
        running.users -= 1;
        if (running.users > 0) return;
        running.lingering = this.#components.clock.setTimer(LINGER_MS, () => this.#letGo(id, running));
      },
    };
  }

  /** Who wants the blob while this one comes to its end begins another. */
  #letGo(id: BlobId, running: Running): void {
    this.#fetches.delete(id);
    this.#ending.add(running.fetch);
    running.fetch.stop(unwanted());
    const ended = () => void this.#ending.delete(running.fetch);
    running.fetch.ended.then(ended, ended);
  }

  #beginFetch(
    id: BlobId,
    { hints, keep }: { readonly hints: readonly PeerId[]; readonly keep: KeepOptions },
  ): Running {
    if (this.#fetches.size >= FETCHES_LIMIT)
      throw new AspenError('RESOURCE_EXHAUSTED', `${FETCHES_LIMIT} blobs are being fetched already`, {
        details: { limit: 'FETCHES_LIMIT', retryAfterMs: 1_000 },
      });
    const fetch = new Fetch(
      { ...this.#components, book: this.#book },
      { ...this.#options.fetch, id, hints, keep },
    );
    const running: Running = { fetch, users: 0, lingering: undefined };
    this.#fetches.set(id, running);
    const forget = () => {
      running.lingering?.cancel();
      if (this.#fetches.get(id) === running) this.#fetches.delete(id);
    };
    fetch.ended.then(forget, forget);
    return running;
  }

  async #fetchChunk(
    id: BlobId,
    { index, signal }: { readonly index: number; readonly signal: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    using running = this.#fetching(id, { hints: [], keep: {} });
    const came = Promise.withResolvers<void>();
    const look = () => {
      const chunks = this.store.chunksOf(id);
      if (chunks !== undefined && (chunks.has(index) || index >= chunks.limit)) came.resolve();
    };
    using _ = running.fetch.onProgress(look);
    look();
    await orAborted(Promise.race([came.promise, running.fetch.ended]), signal);
    const chunk = await this.store.readChunk(id, index);
    if (chunk !== undefined) return chunk;
    const stat = this.store.stat(id);
    if (stat !== undefined && index >= chunkCountOf(stat.sizeBytes)) return new Uint8Array();
    throw new AspenError('UNAVAILABLE', `chunk ${index} of blob ${id} was lost again on this disk`);
  }

  async #hasWhole(peerId: PeerId, id: BlobId): Promise<boolean> {
    try {
      const body = await this.#components.messenger.request(peerId, METHODS.have, [id], {
        timeoutMs: HAVE_TIMEOUT_MS,
      });
      return readHolding(body)?.chunks.isFull === true;
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#components.log.debug({ err, peerId, id }, 'not known whether it has the blob');
      return false;
    }
  }

  async #onKeep(from: PeerId, body: unknown): Promise<boolean> {
    const { id, jobId, keptForMs } = readKeepAsk(body);
    if (this.#components.mayKeep?.(from) === false)
      throw new AspenError('DENIED', 'your role does not let you leave copies here');
    const { isComplete } = await this.ensure(id, {
      hints: [from],
      ...(jobId !== null && { jobId }),
      ...(keptForMs !== undefined && { keptForMs }),
    });
    return isComplete;
  }
}

function unwanted(): AspenError {
  return new AspenError('UNAVAILABLE', 'nobody waits for the blob any more');
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', onAbort));
}
