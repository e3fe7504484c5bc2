import type { Clock, Logger, PeerId, Startable, Timer } from '../base/index.ts';
import { parseCircuit } from './circuit-address.ts';
import type { Connector } from './connector.ts';
import {
  ENOUGH_LINKS,
  FULL_MESH_MEMBERS,
  type HeldLink,
  isLarge,
  isPlanDue,
  LINKS_KEPT,
  type LinkableMember,
  type LinkSituation,
  linksToClose,
  wantedLinks,
} from './link-rules.ts';
import type { Messenger } from './messenger.ts';
import type { PeerLink, Transport } from './transport.ts';

export interface LinkKeeperComponents {
  readonly transport: Pick<Transport, 'self' | 'links' | 'hangUp'>;
  readonly messenger: Pick<Messenger, 'handle' | 'send'>;
  readonly connector: () => Pick<Connector, 'neededAtMs' | 'book' | 'consider'>;
  /** The others, as the registry tells of them. */
  readonly members: () => readonly LinkableMember[];
  /** Those that this node cannot do without. */
  readonly pinned: () => ReadonlySet<PeerId>;
  /** Whether others need this node's links more than it does: it votes, or carries circuits. */
  readonly isHub: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What was seen of a link. */
interface Seen {
  readonly openedMs: number;
  bytes: number;
  busyMs: number | undefined;
}

interface Plan {
  readonly madeMs: number;
  /** Undefined: everybody. */
  readonly wanted: ReadonlySet<PeerId> | undefined;
}

const METHOD = 'mesh.parting';
const LOOK_EVERY_MS = 5_000;
/** The same where links are lacking in a large mesh. */
const LOOK_SOON_MS = 1_000;
/** How old what is known of voters and relays may be. Unit: ms. */
const PINNED_FRESH_MS = 1_000;
/** After its first link a node may not have the whole registry for so long; what neighbours told of tells how large the mesh is. Unit: ms. */
const NEWCOMER_MS = 10_000;
/** More than that between two looks is use, and not upkeep. Unit: bytes. */
const BUSY_BYTES = 256 * 2 ** 10;
/** The word that a link goes gets there first. Unit: ms. */
const PARTING_MS = 500;
/** A link that ends so soon after that word ended on purpose. Unit: ms. */
const PARTED_MS = 10_000;
const PARTED_LIMIT = 1_024;

/** Bounds the links of a node in a large mesh: says whom it wants, and lets go of what nobody wants any more. The rules are in `link-rules.ts`. */
export class LinkKeeper implements Startable {
  readonly #components: LinkKeeperComponents;
  readonly #log: Logger;
  readonly #seen = new Map<PeerId, Seen>();
  /** Who said that it lets go, and until when that explains the end of its link. */
  readonly #parting = new Map<PeerId, number>();
  readonly #handler: Disposable;
  #looking: Timer | undefined;
  #isStopped = false;
  #pinned: ReadonlySet<PeerId> = new Set();
  #pinnedMs = Number.NEGATIVE_INFINITY;
  #plan: Plan = { madeMs: Number.NEGATIVE_INFINITY, wanted: undefined };
  #memberCount = 0;
  #isChanging = false;
  #firstLinkMs: number | undefined;

  constructor(components: LinkKeeperComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'links' });
    this.#handler = components.messenger.handle(METHOD, ({ from }) => this.#onParting(from));
  }

  async start(): Promise<void> {
    this.#lookAfter(LOOK_SOON_MS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#looking?.cancel();
    this.#handler[Symbol.dispose]();
  }

  /** Whether a link with this peer is worth making unasked. */
  wants(peerId: PeerId): boolean {
    const { wanted } = this.#planOfNow();
    return wanted === undefined || wanted.has(peerId) || this.needs(peerId);
  }

  /** B7 Whether this node cannot do without that peer. */
  needs(peerId: PeerId): boolean {
    const nowMs = this.#components.clock.monotonicMs();
    if (nowMs - this.#pinnedMs >= PINNED_FRESH_MS) {
      this.#pinnedMs = nowMs;
      this.#pinned = this.#components.pinned();
    }
    return this.#pinned.has(peerId);
  }

  /** Whether a link with this peer ended on purpose just now: then its end says nothing about whether the peer lives. */
  hasParted(peerId: PeerId): boolean {
    const untilMs = this.#parting.get(peerId);
    return untilMs !== undefined && this.#components.clock.monotonicMs() < untilMs;
  }

  /** B6 @param situationOf for whoever has looked already: going through all members is what costs. */
  #planOfNow(situationOf: () => LinkSituation = () => this.#situation()): Plan {
    const { clock, transport } = this.#components;
    const nowMs = clock.monotonicMs();
    const ageMs = nowMs - this.#plan.madeMs;
    const isOutgrown = this.#plan.wanted === undefined && this.#toldCount(nowMs) >= FULL_MESH_MEMBERS;
    const linkCount = this.#plan.wanted === undefined ? 0 : transport.links().length;
    if (isOutgrown || isPlanDue({ ageMs, linkCount, isChanging: this.#isChanging })) {
      const situation = situationOf();
      this.#plan = { madeMs: nowMs, wanted: isLarge(situation) ? wantedLinks(situation) : undefined };
    }
    return this.#plan;
  }

  /** Before it has the registry a node goes by what it was told of: else it would link itself with all of them. */
  #toldCount(nowMs: number): number {
    const isNewcomer = this.#firstLinkMs === undefined || nowMs - this.#firstLinkMs < NEWCOMER_MS;
    return isNewcomer ? this.#components.connector().book.size : 0;
  }

  #situation(): LinkSituation {
    const { transport, members, pinned } = this.#components;
    const links = transport.links();
    const linked = new Set(links.map(({ peerId }) => peerId));
    const carrying = links.flatMap(({ address }) => parseCircuit(address)?.relay ?? []);
    return {
      self: transport.self,
      members: members(),
      linked,
      pinned: pinned().union(new Set(carrying)),
      toldCount: this.#toldCount(this.#components.clock.monotonicMs()),
    };
  }

  #lookAfter(afterMs: number): void {
    this.#looking = this.#components.clock.setTimer(afterMs, () => {
      this.#look();
      this.#lookAfter(this.#isLacking() ? LOOK_SOON_MS : LOOK_EVERY_MS);
    });
  }

  /** Whether links are to be made soon; nobody hurries who has none to make them with. */
  #isLacking(): boolean {
    const linkCount = this.#components.transport.links().length;
    return this.#plan.wanted !== undefined && linkCount > 0 && linkCount < ENOUGH_LINKS;
  }

  #look(): void {
    const { transport, isHub } = this.#components;
    const links = transport.links();
    this.#note(links);
    const situation = this.#situation();
    this.#isChanging = situation.members.length !== this.#memberCount;
    this.#memberCount = situation.members.length;
    this.#makeWanted(situation);
    if (isHub() || links.length <= LINKS_KEPT) return;
    for (const peerId of linksToClose(
      situation,
      links.map((link) => this.#held(link)),
    ))
      this.#partWith(peerId);
  }

  /** Sources told of them when nothing spoke for a link yet. */
  #makeWanted(situation: LinkSituation): void {
    const { members, linked } = situation;
    const { wanted } = this.#planOfNow(() => situation);
    if (wanted === undefined) return;
    for (const { peerId, addresses } of members) {
      if (linked.has(peerId) || addresses.length === 0) continue;
      if (!wanted.has(peerId) && !this.needs(peerId)) continue;
      this.#components.connector().consider({ peerId, addresses, source: 'registry' });
    }
  }

  #note(links: readonly PeerLink[]): void {
    const nowMs = this.#components.clock.monotonicMs();
    const linked = new Set(links.map(({ peerId }) => peerId));
    if (linked.size > 0) this.#firstLinkMs ??= nowMs;
    for (const peerId of this.#seen.keys()) if (!linked.has(peerId)) this.#seen.delete(peerId);
    for (const { peerId, bytesIn = 0, bytesOut = 0 } of links) {
      const bytes = bytesIn + bytesOut;
      const seen = this.#seen.get(peerId) ?? { openedMs: nowMs, bytes, busyMs: undefined };
      if (Math.abs(bytes - seen.bytes) > BUSY_BYTES) seen.busyMs = nowMs;
      seen.bytes = bytes;
      this.#seen.set(peerId, seen);
    }
    for (const [peerId, untilMs] of this.#parting) if (untilMs <= nowMs) this.#parting.delete(peerId);
  }

  #held({ peerId, rttMs }: PeerLink): HeldLink {
    const { clock, connector } = this.#components;
    const nowMs = clock.monotonicMs();
    const seen = this.#seen.get(peerId);
    const usedMs = Math.max(
      connector().neededAtMs(peerId) ?? Number.NEGATIVE_INFINITY,
      seen?.busyMs ?? Number.NEGATIVE_INFINITY,
    );
    const idleMs = Number.isFinite(usedMs) ? nowMs - usedMs : undefined;
    return { peerId, rttMs, ageMs: nowMs - (seen?.openedMs ?? nowMs), idleMs };
  }

  #partWith(peerId: PeerId): void {
    const { transport, messenger, clock } = this.#components;
    this.#log.debug({ peerId }, 'this node has more links than it needs, one goes');
    this.#explain(peerId);
    messenger.send(peerId, METHOD, null);
    clock.setTimer(PARTING_MS, () => {
      if (!this.#isStopped) transport.hangUp(peerId, 'not needed in a large mesh');
    });
  }

  #onParting(peerId: PeerId): void {
    this.#log.debug({ peerId }, 'a peer lets its link with this node go');
    this.#explain(peerId);
  }

  #explain(peerId: PeerId): void {
    if (this.#parting.size >= PARTED_LIMIT && !this.#parting.has(peerId)) return;
    this.#parting.set(peerId, this.#components.clock.monotonicMs() + PARTED_MS);
  }
}
