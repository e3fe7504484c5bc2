import {
  AspenError,
  type Clock,
  type Crypto,
  type Logger,
  mayGoUnheard,
  OneByOne,
  type PeerId,
  type Random,
  sleep,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { BlobId } from './blob-id.ts';
import type { HolderBook } from './holder-book.ts';
import { HolderSearch } from './holder-search.ts';
import type { KeepOptions } from './keep-rules.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { type Ask, ChunkSchedule } from './schedule.ts';
import type { BlobStore } from './store.ts';
import { type Holding, METHODS, malformed } from './wire.ts';

export interface FetchComponents {
  readonly self: PeerId;
  readonly store: BlobStore;
  readonly messenger: Pick<Messenger, 'request' | 'connected' | 'onPeer'>;
  readonly book: HolderBook;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly log: Logger;
  /** Links a member that is not linked. */
  readonly connect?: ((peerId: PeerId, signal: AbortSignal) => Promise<void>) | undefined;
}

export interface FetchOptions {
  /** Chunks asked of one holder at a time. @default 8 */
  readonly windowChunks?: number;
  /** How long a holder may take for one chunk or answer. Unit: ms. @default 10_000 */
  readonly answerTimeoutMs?: number;
  /** Pause between looks for further holders. Unit: ms. @default 2_000 */
  readonly lookEveryMs?: number;
  /** How long to go on without anybody who has what is missing. Unit: ms. @default 5_000 */
  readonly patienceMs?: number;
}

/** Silences of one holder in a row, after which it is left alone in this fetch. */
const FAULTS_LIMIT = 3;
/** Chunks after which what came is synced, so that a crash takes no more than these. */
const FLUSH_CHUNKS = 64;

/**
 * Brings one blob here, from all who have it at once.
 *
 * - X1 Nothing is kept that was not compared with its digest, and the digests with the id.
 * - X2 Who gives something else than it should is not asked again, for this blob or another, for a while, and is counted.
 * - X3 A holder that is silent, slow or gone costs no more than its timeout: its chunks are asked of others.
 * - X4 What came stays when the fetch ends before its end, and is not fetched again.
 */
export class Fetch {
  readonly id: BlobId;
  readonly #components: FetchComponents;
  readonly #options: Required<FetchOptions>;
  readonly #keep: KeepOptions;
  readonly #abort = new AbortController();
  /** Ends the requests that nobody needs any more. */
  readonly #over = new AbortController();
  readonly #search: HolderSearch;
  /** Known with the manifest. */
  #sizeBytes: number | undefined;
  #schedule: ChunkSchedule<PeerId> | undefined;
  #wake = Promise.withResolvers<void>();
  #failure: unknown;
  #sinceFlush = 0;
  readonly #flushing = new OneByOne();
  readonly #asks = new Set<Promise<void>>();
  readonly #listeners = new Set<() => void>();
  /** Settles when the fetch is over. */
  readonly ended: Promise<void>;

  constructor(
    components: FetchComponents,
    {
      id,
      hints,
      keep,
      ...options
    }: FetchOptions & {
      readonly id: BlobId;
      readonly hints: readonly PeerId[];
      readonly keep: KeepOptions;
    },
  ) {
    this.id = id;
    this.#components = components;
    this.#keep = keep;
    this.#options = {
      windowChunks: options.windowChunks ?? 8,
      answerTimeoutMs: options.answerTimeoutMs ?? 10_000,
      lookEveryMs: options.lookEveryMs ?? 2_000,
      patienceMs: options.patienceMs ?? 5_000,
    };
    this.#search = this.#searchFrom(hints);
    this.ended = mayGoUnheard(this.#run());
  }

  #searchFrom(hints: readonly PeerId[]): HolderSearch {
    const parts = {
      ...this.#components,
      id: this.id,
      connect: this.#components.connect,
      lookEveryMs: this.#options.lookEveryMs,
      signal: this.#over.signal,
      request: (peerId: PeerId, method: string, body: unknown) => this.#request(peerId, method, body),
      onHolding: (peerId: PeerId, holding: Holding) => this.#offer(peerId, holding),
      onSilence: (peerId: PeerId, error: unknown) => this.#onSilence(peerId, error),
      onLie: (peerId: PeerId, error: unknown) => this.#onLie(peerId, error),
    };
    return new HolderSearch(parts, hints);
  }

  hint(hints: readonly PeerId[]): void {
    this.#search.hint(hints);
  }

  stop(reason: unknown): void {
    this.#abort.abort(reason);
    this.#over.abort(reason);
    this.#wake.resolve();
  }

  /** Told whenever a chunk came, and at the end. */
  onProgress(callback: () => void): Disposable {
    this.#listeners.add(callback);
    return { [Symbol.dispose]: () => void this.#listeners.delete(callback) };
  }

  async #run(): Promise<void> {
    const { messenger, store } = this.#components;
    const { signal } = this.#abort;
    using _peers = messenger.onPeer(({ peerId, type }) => this.#onPeer(peerId, type));
    let looks: Promise<void> | undefined;
    try {
      const manifest = await this.#begin();
      using _hold = store.hold(this.id);
      const have = store.chunksOf(this.id);
      if (have === undefined) throw new AspenError('CONFLICT', `blob ${this.id} was removed`);
      const { windowChunks } = this.#options;
      this.#schedule = new ChunkSchedule(have, { windowChunks, faultsLimit: FAULTS_LIMIT });
      this.#sizeBytes = manifest.sizeBytes;
      for (const [peerId, holding] of this.#search.known) this.#offer(peerId, holding);
      looks = mayGoUnheard(this.#search.keepLooking());
      await this.#pump();
    } finally {
      this.#over.abort(new Error('the fetch is over'));
      await looks;
      await Promise.all(this.#asks);
      await this.#flushing.run(async () => {
        if (store.stat(this.id) !== undefined) await store.flush(this.id); // X4
      });
      this.#tell();
    }
    signal.throwIfAborted();
  }

  /** Finds somebody who has the blob, and what it consists of. */
  async #begin(): Promise<Manifest> {
    const { store, clock } = this.#components;
    const untilMs = clock.monotonicMs() + this.#options.patienceMs;
    for (;;) {
      this.#abort.signal.throwIfAborted();
      if (store.stat(this.id) !== undefined) {
        await store.adopt(this.id, await store.manifest(this.id), this.#keep);
        return store.manifest(this.id);
      }
      const tried = new Set<PeerId>();
      const look = mayGoUnheard(this.#search.look());
      await Promise.race([look, this.#awake()]); // X3: the first who has it will do
      let manifest = await this.#manifestOfAny(tried);
      const asked = manifest === undefined ? await look : 0;
      manifest ??= await this.#manifestOfAny(tried);
      if (manifest !== undefined) {
        await store.adopt(this.id, manifest, this.#keep);
        return manifest;
      }
      if (clock.monotonicMs() >= untilMs) throw this.#nobody(asked);
      await sleep(clock, this.#options.lookEveryMs, this.#abort.signal);
    }
  }

  async #manifestOfAny(tried: Set<PeerId>): Promise<Manifest | undefined> {
    for (const peerId of this.#search.known.keys()) {
      if (tried.has(peerId)) continue;
      tried.add(peerId);
      const manifest = await this.#manifestOf(peerId);
      if (manifest !== undefined) return manifest;
    }
    return undefined;
  }

  async #manifestOf(peerId: PeerId): Promise<Manifest | undefined> {
    if (this.#components.book.isAvoided(peerId)) return undefined;
    let body: unknown;
    try {
      body = await this.#request(peerId, METHODS.manifest, [this.id]);
    } catch (error) {
      this.#onSilence(peerId, error);
      return undefined;
    }
    if (body === null) return undefined;
    try {
      if (!(body instanceof Uint8Array)) throw malformed(METHODS.manifest);
      return readManifest(this.#components.crypto, this.id, body);
    } catch (error) {
      this.#onLie(peerId, error);
      return undefined;
    }
  }

  /** Asks for chunks until all of them are here. */
  async #pump(): Promise<void> {
    const { clock } = this.#components;
    const schedule = this.#schedule as ChunkSchedule<PeerId>;
    let aliveMs = clock.monotonicMs();
    while (!schedule.isDone) {
      this.#abort.signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      for (const ask of schedule.take()) {
        const asking = this.#ask(ask, schedule).finally(() => this.#asks.delete(asking));
        this.#asks.add(asking);
      }
      if (!schedule.isStuck) aliveMs = clock.monotonicMs();
      else if (clock.monotonicMs() - aliveMs >= this.#options.patienceMs)
        throw this.#nobody(this.#search.known.size);
      await this.#awake();
    }
  }

  async #ask(ask: Ask<PeerId>, schedule: ChunkSchedule<PeerId>): Promise<void> {
    try {
      await this.#askChunk(ask, schedule);
    } catch (error) {
      this.#failure = error; // of this node: its disk is full, or fails
    }
    this.#stir();
  }

  async #askChunk(ask: Ask<PeerId>, schedule: ChunkSchedule<PeerId>): Promise<void> {
    const { store, book } = this.#components;
    let body: unknown;
    try {
      body = await this.#request(ask.peer, METHODS.chunk, [this.id, ask.index]);
    } catch (error) {
      this.#onFailedAsk(ask, schedule, error);
      return;
    }
    if (body === null) {
      schedule.refused(ask);
      return;
    }
    const isTrue = body instanceof Uint8Array && (await store.writeChunk(this.id, ask.index, body)); // X1
    if (!isTrue) {
      schedule.lied(ask);
      this.#onLie(ask.peer, new AspenError('INVALID_REQUEST', `chunk ${ask.index} is not what it should be`));
      return;
    }
    schedule.arrived(ask);
    book.gave(ask.peer);
    this.#tell();
    await this.#flushSometimes();
  }

  /** X3 */
  #onFailedAsk(ask: Ask<PeerId>, schedule: ChunkSchedule<PeerId>, error: unknown): void {
    const code = error instanceof AspenError ? error.code : undefined;
    if (this.#over.signal.aborted || code === 'RESOURCE_EXHAUSTED') schedule.busy(ask);
    else if (code === 'UNAVAILABLE') schedule.gone(ask.peer);
    else {
      schedule.failed(ask);
      this.#onSilence(ask.peer, error);
    }
  }

  /** One sync at a time; what comes meanwhile waits for it, and so the network for the disk. */
  async #flushSometimes(): Promise<void> {
    this.#sinceFlush += 1;
    if (this.#sinceFlush < FLUSH_CHUNKS) return;
    this.#sinceFlush = 0;
    await this.#flushing.run(() => this.#components.store.flush(this.id));
  }

  /** X2 A holder whose blob of this name is longer or shorter has not got this blob. */
  #offer(peerId: PeerId, { sizeBytes, chunks }: Holding): void {
    this.#stir();
    if (this.#sizeBytes === undefined) return; // nobody can be asked for chunks yet
    if (sizeBytes !== this.#sizeBytes) {
      const text = `the blob has ${this.#sizeBytes} bytes, not ${sizeBytes}`;
      this.#onLie(peerId, new AspenError('INVALID_REQUEST', text));
      return;
    }
    this.#schedule?.offer(peerId, chunks);
  }

  #onPeer(peerId: PeerId, type: 'opened' | 'closed'): void {
    if (type === 'closed') this.#schedule?.gone(peerId);
    this.#stir();
  }

  /** X2 */
  #onLie(peerId: PeerId, err: unknown): void {
    const { book, log } = this.#components;
    book.lied(peerId);
    this.#search.forget(peerId);
    log.warn({ err, peerId, id: this.id }, 'a holder gives what is not the blob');
  }

  #onSilence(peerId: PeerId, err: unknown): void {
    const { book, log } = this.#components;
    if (err instanceof AspenError && err.code === 'DEADLINE_EXCEEDED') book.stalled(peerId);
    log.debug({ err, peerId, id: this.id }, 'a holder did not answer');
  }

  #request(peerId: PeerId, method: string, body: unknown): Promise<unknown> {
    return this.#components.messenger.request(peerId, method, body, {
      timeoutMs: this.#options.answerTimeoutMs,
      signal: this.#over.signal,
    });
  }

  #nobody(askedCount: number): AspenError {
    const missing = this.#components.store.stat(this.id);
    const what =
      missing === undefined ? '' : ` (${missing.heldBytes} of ${missing.sizeBytes} bytes are here already)`;
    return new AspenError(
      'NOT_FOUND',
      `no member that can be reached has blob ${this.id}${what}: ${askedCount} were asked for ${this.#options.patienceMs} ms`,
    );
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #stir(): void {
    this.#wake.resolve();
  }

  async #awake(): Promise<void> {
    await this.#wake.promise;
    this.#wake = Promise.withResolvers<void>();
  }
}
