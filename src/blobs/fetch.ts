import {
  AspenError,
  type Clock,
  type Crypto,
  type Logger,
  mayGoUnheard,
  OneByOne,
  type PeerId,
  type Random,
  randomShuffle,
  sleep,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { BlobId } from './blob-id.ts';
import type { HolderBook } from './holder-book.ts';
import type { KeepOptions } from './keep-rules.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { type Ask, ChunkSchedule } from './schedule.ts';
import type { BlobStore } from './store.ts';
import { type Holding, METHODS, malformed, readHolding } from './wire.ts';

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
  readonly connect?: ((peerId: PeerId) => Promise<void>) | undefined;
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

/** Members asked at a time who has a blob, and in one look. */
const ASKED_AT_ONCE = 16;
const ASKED_PER_LOOK = 256;
/** A look ends when so many have answered that they have all of it. */
const ENOUGH_HOLDERS = 8;
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
  readonly #known = new Map<PeerId, Holding>();
  #hints: readonly PeerId[];
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
    this.#hints = hints;
    this.#keep = keep;
    this.#options = {
      windowChunks: options.windowChunks ?? 8,
      answerTimeoutMs: options.answerTimeoutMs ?? 10_000,
      lookEveryMs: options.lookEveryMs ?? 2_000,
      patienceMs: options.patienceMs ?? 5_000,
    };
    this.ended = mayGoUnheard(this.#run());
  }

  hint(hints: readonly PeerId[]): void {
    this.#hints = [...new Set([...this.#hints, ...hints])].slice(0, ASKED_AT_ONCE);
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
    const looking = new AbortController();
    let looks: Promise<void> | undefined;
    try {
      const manifest = await this.#begin();
      using _hold = store.hold(this.id);
      const have = store.chunksOf(this.id);
      if (have === undefined) throw new AspenError('CONFLICT', `blob ${this.id} was removed`);
      const { windowChunks } = this.#options;
      this.#schedule = new ChunkSchedule(have, { windowChunks, faultsLimit: FAULTS_LIMIT });
      for (const [peerId, holding] of this.#known) this.#offer(peerId, holding, manifest);
      looks = this.#keepLooking(manifest, looking.signal);
      await this.#pump();
    } finally {
      looking.abort(new Error('the fetch is over'));
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
      const asked = await this.#look();
      for (const peerId of this.#known.keys()) {
        const manifest = await this.#manifestOf(peerId);
        if (manifest === undefined) continue;
        await store.adopt(this.id, manifest, this.#keep);
        return manifest;
      }
      if (clock.monotonicMs() >= untilMs) throw this.#nobody(asked);
      await sleep(clock, this.#options.lookEveryMs, this.#abort.signal);
    }
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
        throw this.#nobody(this.#known.size);
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

  async #keepLooking(manifest: Manifest, signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    while (!signal.aborted) {
      try {
        await sleep(clock, this.#options.lookEveryMs, signal);
      } catch {
        return; // the fetch is over
      }
      await this.#look(signal);
      for (const [peerId, holding] of this.#known) this.#offer(peerId, holding, manifest);
      this.#stir();
    }
  }

  /** Asks hints first, then others in any order. @returns how many were asked. */
  async #look(signal: AbortSignal = this.#abort.signal): Promise<number> {
    const { self, messenger, random, book } = this.#components;
    const others = randomShuffle(random, [...messenger.connected()]);
    const wanted = [...new Set([...this.#hints, ...this.#known.keys(), ...others])]
      .filter((peerId) => peerId !== self && !book.isAvoided(peerId))
      .slice(0, ASKED_PER_LOOK);
    for (let at = 0; at < wanted.length; at += ASKED_AT_ONCE) {
      const asked = wanted.slice(at, at + ASKED_AT_ONCE);
      await Promise.all(asked.map((peerId) => this.#askHolding(peerId)));
      const whole = [...this.#known.values()].filter(({ chunks }) => chunks.isFull);
      if (whole.length >= ENOUGH_HOLDERS || signal.aborted) break;
    }
    return wanted.length;
  }

  async #askHolding(peerId: PeerId): Promise<void> {
    let body: unknown;
    try {
      await this.#link(peerId);
      body = await this.#request(peerId, METHODS.have, [this.id]);
    } catch (error) {
      this.#known.delete(peerId);
      this.#onSilence(peerId, error);
      return;
    }
    try {
      const holding = readHolding(body);
      if (holding === null) this.#known.delete(peerId);
      else this.#known.set(peerId, holding);
    } catch (error) {
      this.#onLie(peerId, error);
    }
  }

  async #link(peerId: PeerId): Promise<void> {
    const { messenger, connect } = this.#components;
    if (connect !== undefined && !messenger.connected().includes(peerId)) await connect(peerId);
  }

  /** X2 A holder whose blob of this name is longer or shorter has not got this blob. */
  #offer(peerId: PeerId, { sizeBytes, chunks }: Holding, manifest: Manifest): void {
    if (sizeBytes === manifest.sizeBytes) this.#schedule?.offer(peerId, chunks);
    else
      this.#onLie(
        peerId,
        new AspenError('INVALID_REQUEST', `the blob has ${manifest.sizeBytes} bytes, not ${sizeBytes}`),
      );
  }

  #onPeer(peerId: PeerId, type: 'opened' | 'closed'): void {
    if (type === 'closed') this.#schedule?.gone(peerId);
    this.#stir();
  }

  /** X2 */
  #onLie(peerId: PeerId, err: unknown): void {
    const { book, log } = this.#components;
    book.lied(peerId);
    this.#known.delete(peerId);
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
