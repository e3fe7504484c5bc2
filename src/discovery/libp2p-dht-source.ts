import type { Connection, Stream } from '@libp2p/interface';
import {
  AspenError,
  type Clock,
  every,
  Listeners,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
} from '../base/index.ts';
import { AddressHints } from './address-hints.ts';
import { DhtCalls } from './libp2p-dht-calls.ts';
import { DhtTable } from './libp2p-dht-table.ts';
import { type AddressRecords, RecordJudge } from './record-judge.ts';
import { RecordShelf } from './record-shelf.ts';
import type { Candidate, DiscoverySource } from './source.ts';
import {
  Allowance,
  isPublishingDue,
  isShortOfLinks,
  PUBLISH_EVERY_MS,
  PUBLISH_RETRY_MS,
  type Published,
  searchPauseMs,
} from './table-rules.ts';
import { TableTasks } from './table-tasks.ts';

export interface DhtSourceComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: () => readonly { readonly peerId: PeerId }[];
  readonly onLink: (
    callback: (event: { readonly peerId: PeerId; readonly type: 'opened' | 'closed' }) => void,
  ) => Disposable;
  readonly isMember: (peerId: PeerId) => boolean;
  /** How many other members are known. */
  readonly memberCount: () => number;
  /** Streams of the table's protocol; only members are let through. */
  readonly serve: (
    handler: (stream: Stream, connection: Connection) => void | Promise<void>,
  ) => Promise<AsyncDisposable>;
  readonly open: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<Stream>;
  /** Each shows the other its certificate; rejects when one of them has none. */
  readonly introduce: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<void>;
  /** What is known of a peer from elsewhere, the best first. */
  readonly addressesOf: (peerId: PeerId) => readonly string[];
  readonly ownAddresses: () => readonly string[];
  /** Whether this node is reached from anywhere, and so of use to others. */
  readonly isReachable: () => boolean;
  readonly records: AddressRecords;
}

export interface DhtSourceOptions {
  readonly self: PeerId;
  /** Pause between looks at what there is to do; most of them do nothing. Unit: ms. @default 5_000 */
  readonly lookEveryMs?: number;
  /** Pause between rounds that learn who else answers. Unit: ms. @default 15 minutes */
  readonly refreshEveryMs?: number;
}

/** One member is looked for at most so often. */
const FINDS = { limit: 1, windowMs: 300_000 };
/** Who asks is asked whether it answers, at most so often. */
const MET_BACK = { limit: 1, windowMs: 600_000 };
/** With so many that answer, no others are dialed only to learn whether they do. */
const ANSWERING_ENOUGH = 24;
/** Linked members asked in one round whether they answer by now. */
const PROBES_LIMIT = 16;

/**
 * The table of addresses that the members of one mesh keep for each other (Kademlia): where a member is that neither the registry nor the
 * memory reaches, and who else is there when those known are gone.
 *
 * - H4 What the table tells is a hint: whoever answers there proves who it is, and that it belongs to the mesh, like anybody.
 * - H5 What others say makes this node dial a bounded number of places, and look for a bounded number of members.
 */
export class Libp2pDhtSource implements DiscoverySource {
  readonly name = 'dht';
  readonly #components: DhtSourceComponents;
  readonly #options: Required<DhtSourceOptions>;
  readonly #log: Logger;
  readonly #hints = new AddressHints();
  readonly #shelf: RecordShelf;
  readonly #table: DhtTable;
  readonly #calls: DhtCalls;
  readonly #candidates = new Listeners<Candidate>();
  readonly #finds = new Allowance(FINDS);
  readonly #metBack = new Allowance(MET_BACK);
  readonly #judge: RecordJudge;
  readonly #tasks: TableTasks;
  #parts: readonly Disposable[] = [];
  #published: Published | undefined;
  #searches = 0;
  #searchedMs = Number.NEGATIVE_INFINITY;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #sizeBefore = 0;

  constructor(components: DhtSourceComponents, options: DhtSourceOptions) {
    this.#components = components;
    this.#options = { lookEveryMs: 5_000, refreshEveryMs: 900_000, ...options };
    this.#log = components.log.child({ part: 'dht' });
    this.#shelf = new RecordShelf(components.clock);
    const { addressesOf, ownAddresses, records, clock, isMember, introduce, open } = components;
    this.#tasks = new TableTasks({ clock, log: this.#log });
    this.#judge = new RecordJudge({ records, shelf: this.#shelf, clock, log: this.#log, isMember });
    this.#calls = new DhtCalls({
      ...{ clock, isMember, introduce, open },
      isLinked: (peerId) => this.#isLinked(peerId),
      addressesOf: (peerId) => [...new Set([...addressesOf(peerId), ...this.#hints.of(peerId)])],
      onSilent: (peerId) => this.#table.drop(peerId),
    });
    this.#table = new DhtTable(
      {
        streams: {
          serve: (handler) =>
            components.serve((stream, connection) => {
              this.#meetBack(connection.remotePeer.toString() as PeerId);
              return handler(stream, connection);
            }),
          open: (peerId, signal) => this.#calls.open(peerId, signal),
          probe: (peerId, signal) => this.#probe(peerId, signal),
        },
        shelf: this.#shelf,
        hints: this.#hints,
        addressesOf,
        ownAddresses,
        checkRecord: (name, record) => void this.#judge.check(name, record),
        log: this.#log,
      },
      { self: options.self, meshName: records.meshName },
    );
  }

  /** Members known to answer, and whether this node does. */
  get facts(): { readonly answering: number; readonly isServing: boolean; readonly records: number } {
    const { size, isServing } = this.#table;
    return { answering: size, isServing, records: this.#shelf.recordCount };
  }

  async start(): Promise<void> {
    const { clock, onLink, links } = this.#components;
    this.#tasks.start();
    await this.#table.start();
    this.#parts = [
      onLink(({ peerId, type }) => {
        if (type === 'opened') this.#table.consider(peerId);
      }),
      every(clock, this.#options.lookEveryMs, () => this.#look()),
    ];
    for (const { peerId } of links()) this.#table.consider(peerId);
    this.#look();
  }

  async stop(): Promise<void> {
    for (const part of this.#parts) part[Symbol.dispose]();
    await this.#tasks.stop();
    await this.#table.stop();
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  problem(): string | undefined {
    return undefined;
  }

  /** Looks for a member that could not be reached; what is found is told as a candidate. */
  find(peerId: PeerId): void {
    if (this.#table.size === 0 || !this.#components.isMember(peerId)) return;
    if (!this.#finds.take(peerId, this.#components.clock.monotonicMs())) return; // H5
    this.#tasks.add(`where ${peerId} is`, (signal) => this.#findNow(peerId, signal));
  }

  #look(): void {
    const { clock, isReachable, ownAddresses, links, memberCount } = this.#components;
    const nowMs = clock.monotonicMs();
    if (isReachable() !== this.#table.isServing)
      this.#tasks.add('whether to answer', () => this.#table.serve(isReachable()));
    if (nowMs - this.#refreshedMs >= this.#options.refreshEveryMs || this.#hasGrown()) this.#learn(nowMs);
    if (this.#table.size === 0) return;
    if (isPublishingDue(ownAddresses().join(), this.#published, nowMs))
      this.#tasks.add('telling where this node is', (signal) => this.#publish(signal));
    const isFirst = this.#searchedMs === Number.NEGATIVE_INFINITY;
    if (!isFirst && !isShortOfLinks(links().length, memberCount())) this.#searches = 0;
    else if (nowMs - this.#searchedMs >= searchPauseMs(this.#searches)) this.#search(nowMs);
  }

  /** Twice as many answer as when it was last looked for them. */
  #hasGrown(): boolean {
    return this.#table.size >= Math.max(1, 2 * this.#sizeBefore);
  }

  #learn(nowMs: number): void {
    if (this.#hasGrown()) this.#published = undefined; // few knew of it until now
    this.#refreshedMs = nowMs;
    this.#sizeBefore = this.#table.size;
    this.#tasks.add('who answers', (signal) => this.#refresh(signal));
  }

  #search(nowMs: number): void {
    this.#searches += 1;
    this.#searchedMs = nowMs;
    this.#tasks.add('who else is there', async (signal) => {
      const found = await this.#table.members(signal);
      for (const contact of found) this.#emit(contact);
      this.#log.debug({ count: found.length }, 'looked for other members');
    });
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { clock, random, ownAddresses, records } = this.#components;
    const addresses = ownAddresses();
    const told = { addresses: addresses.join(), atMs: clock.monotonicMs() };
    this.#published = { ...told, againMs: PUBLISH_RETRY_MS };
    const record = records.sign(addresses, clock.wallMs());
    const keptBy = await this.#table.put(records.nameOf(this.#options.self), record, signal);
    if (this.#table.isServing) await this.#table.provide(signal);
    if (keptBy > 0)
      this.#published = { ...told, againMs: PUBLISH_EVERY_MS * (0.75 + randomFloat(random) / 4) };
    this.#log.debug({ keptBy }, 'told the table where this node is');
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    let probes = 0;
    for (const { peerId } of this.#components.links()) {
      if (probes >= PROBES_LIMIT || (await this.#table.knows(peerId))) continue;
      probes += 1;
      this.#table.consider(peerId);
    }
    if (this.#table.size > 0) await this.#table.refresh(this.#options.self, signal);
  }

  async #findNow(peerId: PeerId, signal: AbortSignal): Promise<void> {
    const name = this.#components.records.nameOf(peerId);
    const latest = this.#judge.latest(name, await this.#table.find(name, signal));
    this.#log.debug({ peerId, isFound: latest !== undefined }, 'looked for a member');
    if (latest !== undefined) this.#emit(latest);
  }

  #emit({ peerId, addresses }: { readonly peerId: PeerId; readonly addresses: readonly string[] }): void {
    if (peerId !== this.#options.self) this.#candidates.emit({ peerId, addresses, source: 'dht' }); // H4
  }

  /** Whoever asks may answer as well: so both come to know of each other. */
  #meetBack(peerId: PeerId): void {
    if (this.#metBack.take(peerId, this.#components.clock.monotonicMs())) this.#table.consider(peerId);
  }

  async #probe(peerId: PeerId, signal: AbortSignal): Promise<Stream> {
    if (!this.#isLinked(peerId) && this.#table.size >= ANSWERING_ENOUGH)
      throw new AspenError('UNAVAILABLE', 'enough others answer'); // H5
    return await this.#calls.open(peerId, signal);
  }

  #isLinked(peerId: PeerId): boolean {
    return this.#components.links().some((link) => link.peerId === peerId);
  }
}
