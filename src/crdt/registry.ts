import {
  AspenError,
  type Clock,
  type Coordinate,
  estimateRttMs,
  Listeners,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
  randomPick,
  type Startable,
  sleep,
  Tasks,
  type Timer,
} from '../base/index.ts';
import type { Messenger, PeerLink, Transport } from '../mesh/index.ts';
import type { Store } from '../storage/index.ts';
import { type Bulletin, BulletinSet, type BulletinVerifier } from './bulletins.ts';
import { contentDigest } from './content-digest.ts';
import { moved, ORIGIN } from './coordinates.ts';
import { Doubts } from './doubts.ts';
import { INCARNATION_LENGTH_LIMIT, isText, KEY_LENGTH_LIMIT, type UnsignedEntry } from './entry.ts';
import { HybridClock } from './hlc.ts';
import {
  decodeLinkRow,
  encodeLinkRow,
  type LinkRow,
  linkRowOf,
  markOfPeer,
  ROW_PAUSE_MS,
  ROW_PAUSE_MS_PER_NODE,
} from './link-row.ts';
import { type AppliedEntry, LwwMap, type LwwMapComponents } from './lww-map.ts';
import { aliveForMs, NodeBook, type NodeEntry } from './node-book.ts';
import {
  decodeHeartbeat,
  decodeProfile,
  encodeHeartbeat,
  encodeProfile,
  encodeProgress,
  type Heartbeat,
  LONGEST_PERIOD_MS,
  type NodeProfile,
  type Progress,
} from './profile.ts';
import { type JobProgress, ProgressBook } from './progress-book.ts';
import { RegistryStore } from './registry-store.ts';
import { Replicator, type ReplicatorCounts, type ReplicatorOptions } from './replicator.ts';
import { isRefusal } from './space.ts';
import { decodeSuspicions, encodeSuspicions, REFUTATION_MS, SuspicionBook } from './suspicion.ts';

export interface RegistryComponents {
  readonly self: PeerId;
  readonly incarnation: string;
  /** Signs as this node. @returns 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  /** @returns false for whoever is no member, or was revoked, and for a signature that does not hold. Never throws. */
  readonly verify: (peerId: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean;
  /** What proves that this node is a member, to tell everybody: in a large mesh most never meet it. @default it is not told */
  readonly certificate?: () => Uint8Array | undefined;
  /** Takes what another one tells to prove that it is a member; after that `verify` decides about what it says. Never throws. */
  readonly onCertificate?: (owner: PeerId, certificate: Uint8Array) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** Keys begin with `crdt/`. */
  readonly store: Store;
  readonly gossip: Transport['gossip'];
  readonly messenger: Messenger;
  readonly logger: Logger;
  /** Measured round trips, for coordinates. Without it, the own coordinate stays at the origin. */
  readonly links?: () => readonly PeerLink[];
  /** Whether the end of a link with this peer was announced, so that it says nothing about its life. @default never */
  readonly hasParted?: (peerId: PeerId) => boolean;
  /** Tries to reach a peer whose link has ended; rejects when it cannot be reached. Without it nobody is missed. */
  readonly probe?: (peerId: PeerId, signal: AbortSignal) => Promise<void>;
  /** One verifier for each kind of bulletin. */
  readonly bulletinVerifiers?: Readonly<Record<string, BulletinVerifier>>;
  /** The registry cannot go on, e.g. the disk failed. @default it is logged */
  readonly onFailure?: (error: unknown) => void;
}

export interface RegistryOptions extends ReplicatorOptions {
  /** The mesh, so that what is signed for one means nothing in another. @default '' */
  readonly scope?: string;
  /** Pause between heartbeats in a small mesh. Unit: ms. @default 2_000 */
  readonly heartbeatEveryMs?: number;
  /** What each node adds to that pause: a heartbeat costs every node a signature check, and six sends. Unit: ms. @default 120 */
  readonly heartbeatEveryMsPerNode?: number;
  /** From so many nodes on those whose links end are missed: in a smaller mesh heartbeats are frequent enough. @default 24 */
  readonly missedFrom?: number;
  /** Age at which entries are collected and refused; profiles are renewed four times in it. Unit: ms. @default 86_400_000 */
  readonly horizonMs?: number;
  /** Pause between writes to disk. Unit: ms. @default 5_000 */
  readonly flushEveryMs?: number;
}

export type RegistryChange =
  /** A profile, or whether the node is alive. */
  { readonly type: 'node'; readonly peerId: PeerId } | { readonly type: 'progress'; readonly jobId: string };

export interface Bulletins {
  /** Keeps a document and passes it on. @returns whether it is valid; also true when it, or a better one of that key, was here already. */
  add(kind: string, key: string, bytes: Uint8Array): boolean;
  all(kind: string): readonly Bulletin[];
  /** Drops what the verifier of `kind` no longer accepts. */
  recheck(kind: string): void;
  /** Called for each new document, wherever it came from; not for those read from disk. */
  onAdded(callback: (bulletin: Bulletin) => void): Disposable;
}

/** `toldAtMs`: wall time, by the clock of the node. */
export type ToldLinkRow = LinkRow & { readonly toldAtMs: number };

/** What nodes tell each other about themselves, without asking anybody's leave: converges, goes on when cut off, merges later. */
export interface Registry extends Startable {
  /** Sets the own profile. @throws AspenError INVALID_PARAMS when it is over the limits of a profile. */
  announce(profile: NodeProfile): void;
  /** All nodes with a profile, this one included, by peer id. */
  nodes(): readonly NodeEntry[];
  node(peerId: PeerId): NodeEntry | undefined;
  /** Deletes the own profile everywhere: this node leaves for good. */
  withdraw(): void;
  /** Drops what is known of a node that no longer belongs; `verify` must refuse it from now on. */
  forget(peerId: PeerId): void;
  /**
   * Reports on an attempt that runs here; what an earlier attempt says after a later one has reported is dropped, and so is what comes while the
   * registry is stopped.
   * @throws AspenError INVALID_PARAMS when it is not valid progress, RESOURCE_EXHAUSTED when it is over 4 KiB.
   */
  publishProgress(jobId: string, fencingToken: number, progress: Progress): void;
  progressOf(jobId: string): JobProgress | undefined;
  readonly bulletins: Bulletins;
  /** Where this node stands in the space of round trips. */
  readonly coordinate: Coordinate;
  /** What a node tells of its own links; undefined when it has told nothing yet. */
  linksOf(peerId: PeerId): ToldLinkRow | undefined;
  /** This node's own links as they are now. */
  ownLinks(): ToldLinkRow;
  /** @returns the round trip to a node in ms: as measured where there is a link, else as the coordinates promise; undefined when neither is known. */
  rttTo(peerId: PeerId): number | undefined;
  onChange(callback: (change: RegistryChange) => void): Disposable;
  /** Equal on replicas that hold the same; heartbeats and links are left out, since they never rest. */
  digest(): string;
  counts(): ReplicatorCounts;
}

export function createRegistry(components: RegistryComponents, options: RegistryOptions = {}): Registry {
  return new ConvergingRegistry(components, options);
}

/** Sorts before the others: whoever is told all of an owner hears this first (C11). */
export const CERTIFICATE_KEY = 'certificate';
export const PROFILE_KEY = 'profile';
export const HEARTBEAT_KEY = 'heartbeat';
export const LINKS_KEY = 'links';
export const SUSPECTS_KEY = 'suspects';
const PROGRESS_PER_OWNER_LIMIT = 128;
const PROGRESS_BYTES_LIMIT = 4_096;
const RENEWALS_PER_HORIZON = 4;
/** Least pause between a sign of life and one that refutes a suspicion. Unit: ms. */
const REFUTE_PAUSE_MS = 1_000;
/** Whoever misses several at once says so once. Unit: ms. */
const MISSING_PAUSE_MS = 200;
/** After the first link of a node that had none: neighbours take a moment before they pass on what it says. Unit: ms. */
const INTRODUCTION_PAUSES_MS = [300, 1_200, 3_000];
/** A profile that nobody renewed for so long is not worth a place on disk. Unit: ms. */
const REMEMBER_MS = 30 * 86_400_000;

class ConvergingRegistry implements Registry {
  readonly #components: RegistryComponents;
  readonly #options: Required<
    Pick<RegistryOptions, 'heartbeatEveryMs' | 'heartbeatEveryMsPerNode' | 'flushEveryMs'>
  >;
  readonly #log: Logger;
  readonly #disk: RegistryStore;
  readonly #hlc: HybridClock;
  readonly #nodes: LwwMap;
  readonly #progress: LwwMap;
  readonly #bulletins: BulletinSet;
  readonly #book: NodeBook;
  readonly #progressBook: ProgressBook;
  readonly #replicator: Replicator;
  readonly #suspicions = new SuspicionBook();
  readonly #doubts: Doubts | undefined;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  #refuting: Timer | undefined;
  #missing: Timer | undefined;
  readonly #tasks: Tasks;
  readonly #changes = new Listeners<RegistryChange>();
  #coordinate: Coordinate = ORIGIN;
  #profile: Uint8Array | undefined;
  #toldLinksAtMs = Number.NEGATIVE_INFINITY;
  #isStarted = false;
  #alone: Disposable | undefined;
  #isIntroducing = false;
  /** Something newer of this node came from elsewhere, of an earlier life of it: the profile is to be told again. */
  #isOvertaken = false;

  constructor(components: RegistryComponents, options: RegistryOptions) {
    if (!isText(components.incarnation, INCARNATION_LENGTH_LIMIT)) {
      throw new AspenError(
        'INVALID_PARAMS',
        `incarnation must have 1 to ${INCARNATION_LENGTH_LIMIT} characters`,
      );
    }
    const {
      self,
      clock,
      random,
      store,
      gossip,
      messenger,
      logger,
      verify,
      bulletinVerifiers = {},
    } = components;
    const { scope = '', horizonMs = 86_400_000, heartbeatEveryMs = 2_000 } = options;
    const { heartbeatEveryMsPerNode = 120, flushEveryMs = 5_000, missedFrom = 24, ...rest } = options;
    this.#components = components;
    this.#options = { heartbeatEveryMs, heartbeatEveryMsPerNode, flushEveryMs };
    this.#log = logger.child({ part: 'registry' });
    this.#disk = new RegistryStore(store, this.#log);
    const wallMs = () => clock.wallMs();
    const floor = this.#disk.clockFloor();
    this.#hlc = new HybridClock({ peerId: self, wallMs }, floor === undefined ? {} : { floor });
    const map: LwwMapComponents = { verify, wallMs };
    const verifyNode: typeof map.verify = (owner, bytes, signature, entry) => {
      if (entry.key === CERTIFICATE_KEY && entry.value !== undefined)
        components.onCertificate?.(owner, entry.value); // C11
      return verify(owner, bytes, signature);
    };
    this.#nodes = new LwwMap(
      { ...map, verify: verifyNode },
      { name: 'node', scope, horizonMs, entriesPerOwnerLimit: 16 },
    );
    this.#progress = new LwwMap(map, {
      name: 'progress',
      scope,
      horizonMs,
      entriesPerOwnerLimit: PROGRESS_PER_OWNER_LIMIT,
      valueBytesLimit: PROGRESS_BYTES_LIMIT,
    });
    this.#bulletins = new BulletinSet(bulletinVerifiers);
    this.#book = new NodeBook({ self, nowMs: () => clock.monotonicMs() });
    this.#progressBook = new ProgressBook(this.#progress);
    const onFailure =
      components.onFailure ?? ((err) => this.#log.error({ err }, 'the registry cannot go on'));
    this.#tasks = new Tasks(onFailure);
    this.#replicator = new Replicator(
      {
        spaces: [this.#nodes, this.#progress, this.#bulletins],
        clock,
        random,
        gossip,
        messenger,
        log: this.#log,
        onFailure,
        nodeCount: () => this.#nodes.ownerCount,
      },
      rest,
    );
    this.#doubts = this.#makeDoubts(missedFrom, onFailure);
    this.#listen();
    this.#load();
  }

  async start(): Promise<void> {
    this.#disk.reserveClock(this.#hlc.timeMs);
    await this.#disk.flush(); // before the first stamp is given (H1)
    this.#isStarted = true;
    await this.#replicator.start();
    this.#tellCertificate();
    this.#tellProfile();
    this.#beat();
    this.#tasks.run((signal) => this.#beatForEver(signal));
    this.#tasks.run((signal) => this.#flushForEver(signal));
    this.#doubts?.start();
    if (this.#components.messenger.connected().length > 0) this.#introduceOneself();
    this.#alone = this.#components.messenger.onPeer(({ type }) => {
      if (type === 'opened' && this.#components.messenger.connected().length === 1) this.#introduceOneself();
    });
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#alone?.[Symbol.dispose]();
    this.#refuting?.cancel();
    this.#missing?.cancel();
    await this.#doubts?.stop();
    await this.#replicator.stop();
    await this.#tasks.stop();
    await this.#disk.flush();
  }

  announce(profile: NodeProfile): void {
    const bytes = encodeProfile(profile);
    if (this.#profile !== undefined && Buffer.compare(bytes, this.#profile) === 0) return;
    this.#profile = bytes;
    if (this.#isStarted) this.#tellProfile();
    else this.#book.describe(this.#components.self, profile);
  }

  withdraw(): void {
    this.#profile = undefined;
    for (const { key } of [...this.#nodes.entriesOf(this.#components.self)])
      this.#write(this.#nodes, key, undefined);
    this.#disk.forgetProfile(this.#components.self);
  }

  nodes(): readonly NodeEntry[] {
    return this.#book.entries();
  }

  node(peerId: PeerId): NodeEntry | undefined {
    return this.#book.entry(peerId);
  }

  forget(peerId: PeerId): void {
    this.#nodes.forget(peerId);
    this.#progress.forget(peerId);
    this.#progressBook.sweep();
    this.#disk.forgetProfile(peerId);
    this.#hearSuspicions(peerId, undefined);
    this.#book.forget(peerId);
  }

  publishProgress(jobId: string, fencingToken: number, progress: Progress): void {
    const value = encodeProgress({ fencingToken, progress });
    if (!isText(jobId, KEY_LENGTH_LIMIT) || value.length + jobId.length > PROGRESS_BYTES_LIMIT) {
      throw new AspenError(
        'RESOURCE_EXHAUSTED',
        `progress of ${value.length} bytes, at most ${PROGRESS_BYTES_LIMIT}`,
        {
          details: { limit: 'PROGRESS_BYTES_LIMIT' },
        },
      );
    }
    if (!this.#isStarted) return; // no stamp before the clock is reserved (H1)
    if (fencingToken < this.#progressBook.tokenOf(this.#components.self, jobId)) return; // a straggler
    this.#write(this.#progress, jobId, value);
  }

  progressOf(jobId: string): JobProgress | undefined {
    return this.#progressBook.latest(jobId);
  }

  readonly bulletins: Bulletins = {
    add: (kind, key, bytes) => !isRefusal(this.#bulletins.add({ kind, key, bytes }, 'self')),
    all: (kind) => this.#bulletins.all(kind),
    recheck: (kind) => {
      for (const bulletin of this.#bulletins.recheck(kind)) this.#disk.forgetBulletin(bulletin);
    },
    onAdded: (callback) =>
      this.#bulletins.onAdded(({ bulletin, via }) => {
        if (via !== 'disk') callback(bulletin);
      }),
  };

  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  linksOf(peerId: PeerId): ToldLinkRow | undefined {
    const entry = this.#nodes.get(peerId, LINKS_KEY);
    const row = entry?.value === undefined ? undefined : decodeLinkRow(entry.value);
    return row === undefined || entry === undefined ? undefined : { ...row, toldAtMs: entry.wallMs };
  }

  ownLinks(): ToldLinkRow {
    const { links, clock } = this.#components;
    return { ...linkRowOf(links?.() ?? []), toldAtMs: clock.wallMs() };
  }

  rttTo(peerId: PeerId): number | undefined {
    const link = this.#components.links?.().find((candidate) => candidate.peerId === peerId);
    if (link?.rttMs !== undefined) return link.rttMs;
    const remote = this.#book.coordinateOf(peerId);
    return remote === undefined ? undefined : estimateRttMs(this.#coordinate, remote);
  }

  onChange(callback: (change: RegistryChange) => void): Disposable {
    return this.#changes.add(callback);
  }

  digest(): string {
    return contentDigest(
      [this.#nodes, this.#progress, this.#bulletins],
      (key) => key !== HEARTBEAT_KEY && key !== LINKS_KEY,
    );
  }

  counts(): ReplicatorCounts {
    return this.#replicator.counts;
  }

  #listen(): void {
    this.#nodes.onApplied((applied) => this.#onNodeEntry(applied));
    this.#progress.onApplied(({ entry }) => {
      this.#observe(entry);
      this.#changes.emit({ type: 'progress', jobId: entry.key });
    });
    this.#book.onChanged((peerId) => this.#changes.emit({ type: 'node', peerId }));
    this.#bulletins.onAdded(({ bulletin, via }) => {
      if (via === 'disk') return;
      this.#disk.keepBulletin(bulletin);
      if (via === 'self') this.#replicator.publish(this.#bulletins, bulletin.kind, bulletin.key);
    });
  }

  #onNodeEntry({ entry, via }: AppliedEntry): void {
    const { self } = this.#components;
    this.#observe(entry);
    if (entry.owner === self && via !== 'self' && via !== 'disk') this.#isOvertaken = true;
    if (entry.key === PROFILE_KEY) {
      this.#book.describe(entry.owner, entry.value && decodeProfile(entry.value));
      if (via !== 'disk') this.#disk.keepProfile(entry);
    } else if (entry.key === HEARTBEAT_KEY && entry.value !== undefined) {
      const heartbeat = decodeHeartbeat(entry.value);
      if (heartbeat !== undefined) this.#hear(entry, heartbeat, via);
      this.#judge(entry.owner);
    } else if (entry.key === SUSPECTS_KEY) this.#hearSuspicions(entry.owner, entry.value);
  }

  #makeDoubts(missedFrom: number, onFailure: (error: unknown) => void): Doubts | undefined {
    const { probe, hasParted = () => false, messenger, clock, random } = this.#components;
    if (probe === undefined) return undefined;
    return new Doubts({
      messenger,
      clock,
      random,
      log: this.#log,
      probe,
      hasParted,
      isWorthIt: () => this.#nodes.ownerCount >= missedFrom,
      lastSignMs: (peerId) => this.#lastSignMs(peerId),
      onChange: () => {
        this.#missing ??= clock.setTimer(MISSING_PAUSE_MS, () => {
          this.#missing = undefined;
          this.#tellMissed();
        });
      },
      onFailure,
    });
  }

  #lastSignMs(peerId: PeerId): number | undefined {
    return this.#nodes.get(peerId, HEARTBEAT_KEY)?.wallMs;
  }

  #tellMissed(): void {
    const suspicions = this.#doubts?.suspicions() ?? [];
    const told = this.#nodes.get(this.#components.self, SUSPECTS_KEY)?.value;
    const value = suspicions.length === 0 ? undefined : encodeSuspicions(suspicions);
    const isSame =
      value === undefined || told === undefined ? value === told : Buffer.compare(value, told) === 0;
    if (!isSame) this.#write(this.#nodes, SUSPECTS_KEY, value);
  }

  /** @param value undefined when the author misses nobody any more. */
  #hearSuspicions(author: PeerId, value: Uint8Array | undefined): void {
    const suspicions = value === undefined ? [] : (decodeSuspicions(value) ?? []);
    const marks = this.#suspicions.hear(author, suspicions);
    if (marks.size === 0) return;
    const { self, clock } = this.#components;
    if (marks.has(markOfPeer(self)) && author !== self) this.#refute();
    for (const owner of this.#nodes.owners())
      if (marks.has(markOfPeer(owner as PeerId))) this.#judge(owner as PeerId);
    clock.setTimer(REFUTATION_MS + 1, () => this.#book.sweep());
  }

  #judge(peerId: PeerId): void {
    const lastSignMs = this.#lastSignMs(peerId);
    if (lastSignMs !== undefined) this.#book.doubt(peerId, this.#suspicions.isMissed(peerId, lastSignMs));
  }

  /** D5 Whoever hears that it is missed gives a sign of life at once, but not more than one a second. */
  #refute(): void {
    const { clock } = this.#components;
    const waitMs = Math.max(0, this.#lastBeatMs + REFUTE_PAUSE_MS - clock.monotonicMs());
    this.#refuting ??= clock.setTimer(waitMs, () => {
      this.#refuting = undefined;
      if (this.#isStarted) this.#beat();
    });
  }

  /** What was caught up on is as old as its stamp says on the clock that all share. */
  #hear({ owner, wallMs }: UnsignedEntry, heartbeat: Heartbeat, via: AppliedEntry['via']): void {
    const isFresh = via === 'gossip' || this.#hlc.timeMs - wallMs <= aliveForMs(heartbeat);
    this.#book.hear(owner, heartbeat, { isFresh });
  }

  #observe({ owner, wallMs, counter }: UnsignedEntry): void {
    this.#hlc.observe({ wallMs, counter, peerId: owner });
  }

  #load(): void {
    const oldestMs = this.#components.clock.wallMs() - REMEMBER_MS;
    for (const entry of this.#disk.profiles()) {
      if (entry.wallMs < oldestMs) this.#disk.forgetProfile(entry.owner);
      else if (this.#nodes.merge(entry, 'disk') === 'expired') this.#recall(entry);
    }
    for (const bulletin of this.#disk.bulletins()) this.#bulletins.add(bulletin, 'disk');
  }

  /** Too old to be told others, but its addresses may still be good. */
  #recall(entry: UnsignedEntry & { readonly signature: Uint8Array }): void {
    const isGenuine = this.#components.verify(entry.owner, this.#nodes.signedBytes(entry), entry.signature);
    if (isGenuine && entry.value !== undefined) this.#book.describe(entry.owner, decodeProfile(entry.value));
  }

  async #beatForEver(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#components;
    while (!signal.aborted) {
      await sleep(clock, this.#periodMs * (0.95 + randomFloat(random) / 10), signal);
      this.#beat();
      this.#book.sweep();
    }
  }

  async #flushForEver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#components.clock, this.#options.flushEveryMs, signal);
      this.#nodes.collect();
      this.#progress.collect();
      this.#progressBook.sweep();
      this.#disk.reserveClock(this.#hlc.latest.wallMs);
      await this.#disk.flush();
    }
  }

  get #periodMs(): number {
    const { heartbeatEveryMs, heartbeatEveryMsPerNode } = this.#options;
    return Math.min(
      LONGEST_PERIOD_MS,
      Math.max(heartbeatEveryMs, heartbeatEveryMsPerNode * this.#nodes.ownerCount),
    );
  }

  /**
   * C12 What was told while nobody was linked was heard by nobody, and in a large mesh it takes long until anti-entropy has carried it everywhere. Said
   * anew with a sign of life, since what was said before is not passed on twice.
   */
  #introduceOneself(): void {
    if (this.#isIntroducing) return;
    this.#isIntroducing = true;
    this.#tasks.run(async (signal) => {
      const { clock, self } = this.#components;
      for (const pauseMs of INTRODUCTION_PAUSES_MS) {
        await sleep(clock, pauseMs, signal);
        for (const key of [CERTIFICATE_KEY, PROFILE_KEY]) this.#replicator.publish(this.#nodes, self, key);
        this.#beat();
      }
      this.#isIntroducing = false;
    });
  }

  #beat(): void {
    this.#measure();
    const own = this.#nodes.get(this.#components.self, PROFILE_KEY);
    const isOld = own !== undefined && this.#isDueForRenewal(own.wallMs);
    if (this.#isOvertaken || isOld) this.#tellProfile();
    if (this.#profile === undefined) return; // not announced yet, or withdrawn
    this.#tellCertificate();
    const heartbeat = { periodMs: this.#periodMs, coordinate: this.#coordinate };
    this.#lastBeatMs = this.#components.clock.monotonicMs();
    this.#write(this.#nodes, HEARTBEAT_KEY, encodeHeartbeat(heartbeat));
    this.#tellLinks();
    this.#tellMissed();
  }

  /** C10 */
  #tellLinks(): void {
    const { links, clock, self } = this.#components;
    const nowMs = clock.monotonicMs();
    const pauseMs = ROW_PAUSE_MS + ROW_PAUSE_MS_PER_NODE * this.#nodes.ownerCount;
    if (links === undefined || this.#toldLinksAtMs + pauseMs > nowMs) return;
    const own = linkRowOf(links());
    const before = this.#nodes.get(self, LINKS_KEY);
    if (before === undefined && own.linkCount === 0) return;
    const row = encodeLinkRow(own);
    const isSame = before?.value !== undefined && Buffer.compare(row, before.value) === 0;
    if (isSame && !this.#isDueForRenewal(before.wallMs)) return;
    this.#toldLinksAtMs = nowMs;
    this.#write(this.#nodes, LINKS_KEY, row);
  }

  #tellCertificate(): void {
    const { certificate, self } = this.#components;
    const own = certificate?.();
    const told = this.#nodes.get(self, CERTIFICATE_KEY);
    if (own === undefined) return;
    const isSame = told?.value !== undefined && Buffer.compare(told.value, own) === 0;
    if (!isSame || this.#isDueForRenewal(told.wallMs)) this.#write(this.#nodes, CERTIFICATE_KEY, own);
  }

  #isDueForRenewal(wallMs: number): boolean {
    return this.#hlc.timeMs - wallMs > this.#nodes.horizonMs / RENEWALS_PER_HORIZON;
  }

  #tellProfile(): void {
    this.#isOvertaken = false;
    if (this.#profile !== undefined) this.#write(this.#nodes, PROFILE_KEY, this.#profile);
  }

  #measure(): void {
    const { links, random } = this.#components;
    const measured = (links?.() ?? []).flatMap(({ peerId, rttMs }) => {
      const remote = this.#book.coordinateOf(peerId);
      return rttMs === undefined || remote === undefined ? [] : [{ remote, rttMs }];
    });
    const measurement = randomPick(random, measured);
    if (measurement !== undefined) this.#coordinate = moved(this.#coordinate, measurement, random);
  }

  #write(space: LwwMap, key: string, value: Uint8Array | undefined): void {
    const { self, incarnation, sign } = this.#components;
    const { wallMs, counter } = this.#hlc.now();
    const unsigned = { owner: self, incarnation, key, value, wallMs, counter };
    space.write({ ...unsigned, signature: sign(space.signedBytes(unsigned)) });
    this.#replicator.publish(space, self, key);
  }
}
