import { type Clock, every, type Logger, type PeerId, type Startable } from '../base/index.ts';
import { parseCircuit } from './circuit-address.ts';
import type { Connector } from './connector.ts';
import {
  FULL_MESH_MEMBERS,
  type HeldLink,
  isLarge,
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

const METHOD = 'mesh.parting';
const LOOK_EVERY_MS = 5_000;
/** How old what is wanted may be. Unit: ms. */
const PLAN_FRESH_MS = 1_000;
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
  #looking: Disposable | undefined;
  #isStopped = false;
  /** Undefined: everybody. */
  #wanted: ReadonlySet<PeerId> | undefined;
  #plannedMs = Number.NEGATIVE_INFINITY;

  constructor(components: LinkKeeperComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'links' });
    this.#handler = components.messenger.handle(METHOD, ({ from }) => this.#onParting(from));
  }

  async start(): Promise<void> {
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#looking?.[Symbol.dispose]();
    this.#handler[Symbol.dispose]();
  }

  /** Whether a link with this peer is worth making unasked. */
  wants(peerId: PeerId): boolean {
    const nowMs = this.#components.clock.monotonicMs();
    if (nowMs - this.#plannedMs >= PLAN_FRESH_MS) {
      const situation = this.#situation();
      this.#plannedMs = nowMs;
      const isSeenLarge = this.#components.connector().book.peers().length >= FULL_MESH_MEMBERS; // before the registry is here
      this.#wanted = isSeenLarge || isLarge(situation) ? wantedLinks(situation) : undefined;
    }
    return this.#wanted === undefined || this.#wanted.has(peerId);
  }

  /** Whether a link with this peer ended on purpose just now: then its end says nothing about whether the peer lives. */
  hasParted(peerId: PeerId): boolean {
    const untilMs = this.#parting.get(peerId);
    return untilMs !== undefined && this.#components.clock.monotonicMs() < untilMs;
  }

  #situation(): LinkSituation {
    const { transport, members, pinned } = this.#components;
    const links = transport.links();
    const linked = new Set(links.map(({ peerId }) => peerId));
    const carrying = links.flatMap(({ address }) => parseCircuit(address)?.relay ?? []);
    return { self: transport.self, members: members(), linked, pinned: pinned().union(new Set(carrying)) };
  }

  #look(): void {
    const { transport, isHub } = this.#components;
    const links = transport.links();
    this.#note(links);
    this.#makeWanted();
    if (isHub() || links.length <= LINKS_KEPT) return;
    for (const peerId of linksToClose(
      this.#situation(),
      links.map((link) => this.#held(link)),
    ))
      this.#partWith(peerId);
  }

  /** Sources told of them when nothing spoke for a link yet. */
  #makeWanted(): void {
    const situation = this.#situation();
    if (!isLarge(situation)) return;
    const wanted = wantedLinks(situation);
    for (const { peerId, addresses } of situation.members) {
      if (!wanted.has(peerId) || situation.linked.has(peerId) || addresses.length === 0) continue;
      this.#components.connector().consider({ peerId, addresses, source: 'registry' });
    }
  }

  #note(links: readonly PeerLink[]): void {
    const nowMs = this.#components.clock.monotonicMs();
    const linked = new Set(links.map(({ peerId }) => peerId));
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
