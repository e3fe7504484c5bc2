import {
  AspenError,
  type Coordinate,
  Listeners,
  type Logger,
  type PeerId,
  sleep,
  Tasks,
} from '../base/index.ts';
import { BulletinSet } from './bulletins.ts';
import { contentDigest } from './content-digest.ts';
import { INCARNATION_LENGTH_LIMIT, isText, KEY_LENGTH_LIMIT, type UnsignedEntry } from './entry.ts';
import { floorAfter, HybridClock } from './hlc.ts';
import { Liveness } from './liveness.ts';
import { type AppliedEntry, LwwMap, type LwwMapComponents } from './lww-map.ts';
import { NodeBook, type NodeEntry } from './node-book.ts';
import {
  CERTIFICATE_KEY,
  HEARTBEAT_KEY,
  LINKS_KEY,
  OwnEntries,
  PROFILE_KEY,
  SUSPECTS_KEY,
} from './own-entries.ts';
import { encodeProgress, type NodeProfile, type Progress } from './profile.ts';
import { type JobProgress, ProgressBook } from './progress-book.ts';
import { PLAIN_READERS, type RegistryReaders } from './readers.ts';
import type { Bulletins, Registry, RegistryChange, RegistryComponents, RegistryOptions } from './registry.ts';
import { RegistryStore } from './registry-store.ts';
import { Replicator, type ReplicatorCounts } from './replicator.ts';
import { SelfTeller } from './self-teller.ts';
import { isRefusal } from './space.ts';
import { type ToldLinkRow, Whereabouts } from './whereabouts.ts';

/** @throws AspenError INVALID_PARAMS when the incarnation is empty or too long. */
export function createRegistry(components: RegistryComponents, options: RegistryOptions = {}): Registry {
  return new ConvergingRegistry(components, options);
}

const PROGRESS_PER_OWNER_LIMIT = 128;
const PROGRESS_BYTES_LIMIT = 4_096;
/** A profile that nobody renewed for so long is not worth a place on disk. Unit: ms. */
const REMEMBER_MS = 30 * 86_400_000;

/** Ties the parts together: what is heard goes to the books, what this node says goes to its own entries, and both to the disk. */
class ConvergingRegistry implements Registry {
  readonly #components: RegistryComponents;
  readonly #flushEveryMs: number;
  readonly #log: Logger;
  readonly #readers: RegistryReaders;
  readonly #disk: RegistryStore;
  readonly #hlc: HybridClock;
  readonly #nodes: LwwMap;
  readonly #progress: LwwMap;
  readonly #bulletins: BulletinSet;
  readonly #book: NodeBook;
  readonly #progressBook: ProgressBook;
  readonly #replicator: Replicator;
  readonly #own: OwnEntries;
  readonly #whereabouts: Whereabouts;
  readonly #liveness: Liveness;
  readonly #teller: SelfTeller;
  readonly #tasks: Tasks;
  readonly #changes = new Listeners<RegistryChange>();

  constructor(components: RegistryComponents, options: RegistryOptions) {
    if (!isText(components.incarnation, INCARNATION_LENGTH_LIMIT)) {
      throw new AspenError(
        'INVALID_PARAMS',
        `incarnation must have 1 to ${INCARNATION_LENGTH_LIMIT} characters`,
      );
    }
    const { self, incarnation, sign, clock, random, messenger, logger, links, probe, certificate } =
      components;
    const { heartbeatEveryMs = 3_000, heartbeatEveryMsPerNode = 180, missedFrom = 24 } = options;
    this.#components = components;
    this.#flushEveryMs = options.flushEveryMs ?? 5_000;
    this.#log = logger.child({ part: 'registry' });
    this.#readers = components.readers ?? PLAIN_READERS;
    const log = this.#log;
    const onFailure = components.onFailure ?? ((err) => log.error({ err }, 'the registry cannot go on'));
    this.#tasks = new Tasks(onFailure);
    this.#disk = new RegistryStore(components.store, log);
    const wallMs = () => clock.wallMs();
    const notedMs = this.#disk.clockNoted();
    const hlc = new HybridClock(
      { peerId: self, wallMs },
      notedMs === undefined ? {} : { floor: { wallMs: floorAfter(notedMs, wallMs()), counter: 0 } }, // H4
    );
    this.#hlc = hlc;
    const { nodes, progress } = mapsOf(components, options);
    this.#nodes = nodes;
    this.#progress = progress;
    this.#bulletins = new BulletinSet(components.bulletinVerifiers ?? {});
    const book = new NodeBook({ self, nowMs: () => clock.monotonicMs() });
    this.#book = book;
    this.#progressBook = new ProgressBook(progress);
    this.#replicator = new Replicator(
      {
        spaces: [nodes, progress, this.#bulletins],
        clock,
        random,
        gossip: components.gossip,
        messenger,
        log,
        onFailure,
        nodeCount: () => nodes.ownerCount,
        readGossip: this.#readers.gossip,
      },
      options,
    );
    const publish: Replicator['publish'] = (...what) => this.#replicator.publish(...what);
    const own = new OwnEntries({ self, incarnation, sign, hlc, nodes, publish });
    this.#own = own;
    const whereabouts = new Whereabouts({ clock, random, nodes, book, own, links });
    this.#whereabouts = whereabouts;
    const hasParted = components.hasParted ?? (() => false);
    const onSelfMissed = () => this.#teller.refute();
    const liveness = new Liveness(
      {
        self,
        messenger,
        clock,
        random,
        log,
        hlc,
        nodes,
        book,
        own,
        probe,
        hasParted,
        refutation: components.refutation,
        readHeartbeat: this.#readers.heartbeat,
        onSelfMissed,
        onFailure,
      },
      { missedFrom },
    );
    this.#liveness = liveness;
    this.#teller = new SelfTeller(
      { self, clock, random, messenger, nodes, book, own, whereabouts, liveness, certificate, onFailure },
      { heartbeatEveryMs, heartbeatEveryMsPerNode, missedFrom },
    );
    this.#listen();
    this.#load();
  }

  async start(): Promise<void> {
    this.#disk.noteClock(this.#hlc.timeMs);
    await this.#disk.flush(); // before the first stamp is given (H1)
    await this.#replicator.start();
    this.#liveness.start();
    await this.#teller.start();
    this.#tasks.run((signal) => this.#flushForEver(signal));
  }

  async stop(): Promise<void> {
    await this.#teller.stop();
    await this.#liveness.stop();
    await this.#replicator.stop();
    await this.#tasks.stop();
    await this.#disk.flush();
  }

  announce(profile: NodeProfile): void {
    this.#teller.announce(profile);
  }

  withdraw(): void {
    this.#teller.withdraw();
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
    this.#liveness.hearSuspicions(peerId, undefined);
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
    if (!this.#teller.isStarted) return; // no stamp before the clock is noted (H1)
    if (fencingToken < this.#progressBook.tokenOf(this.#components.self, jobId)) return; // a straggler
    this.#own.writeIn(this.#progress, jobId, value);
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
    return this.#whereabouts.coordinate;
  }

  linksOf(peerId: PeerId): ToldLinkRow | undefined {
    return this.#whereabouts.linksOf(peerId);
  }

  ownLinks(): ToldLinkRow {
    return this.#whereabouts.ownLinks();
  }

  rttTo(peerId: PeerId): number | undefined {
    return this.#whereabouts.rttTo(peerId);
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
    this.#observe(entry);
    if (entry.owner === this.#components.self && via !== 'self' && via !== 'disk') this.#teller.overtaken();
    if (entry.key === PROFILE_KEY) {
      this.#book.describe(entry.owner, entry.value && this.#readers.profile(entry.value));
      if (via !== 'disk') this.#disk.keepProfile(entry);
    } else if (entry.key === HEARTBEAT_KEY) this.#liveness.hearHeartbeat(entry, via);
    else if (entry.key === SUSPECTS_KEY) this.#liveness.hearSuspicions(entry.owner, entry.value);
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
    if (isGenuine && entry.value !== undefined)
      this.#book.describe(entry.owner, this.#readers.profile(entry.value));
  }

  async #flushForEver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#components.clock, this.#flushEveryMs, signal);
      this.#nodes.collect();
      this.#progress.collect();
      this.#progressBook.sweep();
      this.#disk.noteClock(this.#hlc.timeMs);
      await this.#disk.flush();
    }
  }
}

/** What nodes tell of themselves, and how far jobs are. */
function mapsOf(
  { verify, onCertificate, clock, readers }: RegistryComponents,
  { scope = '', horizonMs = 86_400_000 }: RegistryOptions,
): { readonly nodes: LwwMap; readonly progress: LwwMap } {
  const wallMs = () => clock.wallMs();
  const verifyNode: LwwMapComponents['verify'] = (owner, bytes, signature, entry) => {
    if (entry.key === CERTIFICATE_KEY && entry.value !== undefined) onCertificate?.(owner, entry.value); // C11
    return verify(owner, bytes, signature);
  };
  return {
    nodes: new LwwMap(
      { verify: verifyNode, wallMs, readEntry: readers?.entry },
      { name: 'node', scope, horizonMs, entriesPerOwnerLimit: 16 },
    ),
    progress: new LwwMap(
      { verify, wallMs, readEntry: readers?.entry },
      {
        name: 'progress',
        scope,
        horizonMs,
        entriesPerOwnerLimit: PROGRESS_PER_OWNER_LIMIT,
        valueBytesLimit: PROGRESS_BYTES_LIMIT,
      },
    ),
  };
}
