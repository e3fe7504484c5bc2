import { hash32, type PeerId } from '../base/index.ts';
import type { PeerLink } from './transport.ts';

/** A member, as far as it matters to whom a node links itself with. */
export interface LinkableMember {
  readonly peerId: PeerId;
  readonly isAlive: boolean;
  /** Where it says that it is reached. */
  readonly addresses: readonly string[];
  /** Measured, or promised by coordinates; undefined when neither is known. Unit: ms. */
  readonly rttMs: number | undefined;
}

export interface LinkSituation {
  readonly self: PeerId;
  /** The others, as the registry tells of them. */
  readonly members: readonly LinkableMember[];
  /** Those that it is linked with. */
  readonly linked: ReadonlySet<PeerId>;
  /** Those that this node cannot do without: who votes and leads, its relays. */
  readonly pinned: ReadonlySet<PeerId>;
  /** How many others anybody told of: a newcomer hears of them before the registry has reached it. @default as many as `members` */
  readonly toldCount?: number;
}

/** What a plan of links was made of, and how it does. */
export interface PlanFacts {
  readonly ageMs: number;
  readonly linkCount: number;
  /** The mesh had another number of members a moment ago. */
  readonly isChanging: boolean;
}

/** A link, as far as it matters to whether it may go. */
export interface HeldLink extends Pick<PeerLink, 'peerId' | 'rttMs'> {
  readonly ageMs: number;
  /** How long ago somebody here asked for it, or much went over it; undefined when nobody ever did. Unit: ms. */
  readonly idleMs: number | undefined;
}

/** Up to so many members, this one included, everybody is linked with everybody. */
export const FULL_MESH_MEMBERS = 24;
/** So many others are drawn by a hash of both names, which both ends draw alike. */
export const DRAWN_LINKS = 8;
/** So many are the nearest ones. */
export const NEAR_LINKS = 4;
/** A node with fewer links takes whoever it can get. */
export const LEAST_LINKS = 4;
/** A node with so many links waits with others until the mesh has stopped growing. */
export const ENOUGH_LINKS = DRAWN_LINKS + NEAR_LINKS;
/** Beyond so many, the pinned ones not counted, links that nobody wants go. */
export const LINKS_KEPT = 24;
/** A link stays for so long after it was made, or was needed last. Unit: ms. */
export const LINK_LINGER_MS = 60_000;
/** How old a plan may be: of a node that lacks links, of others, and of others while the mesh grows or shrinks. Unit: ms. */
const HURRIED_PLAN_MS = 1_000;
const SETTLED_PLAN_MS = 5_000;
export const PATIENT_PLAN_MS = 30_000;
const NEAREST_STEP_MS = 8;
const STEP_FACTOR = 4;
const UNKNOWN_STEP = 64;
/** Most links given up at one look, the farthest first. */
export const CLOSED_AT_ONCE = 4;

/** Whether there are too many members for everybody to be linked with everybody. */
export function isLarge({ members, toldCount = 0 }: Pick<LinkSituation, 'members' | 'toldCount'>): boolean {
  return Math.max(members.length, toldCount) >= FULL_MESH_MEMBERS;
}

/**
 * Whether it is time to draw anew.
 *
 * - B6 While a mesh grows each newcomer draws whom it links with, and whoever has enough links draws rarely: of each number of members there was
 *   it would draw others, and have a link with all of them in the end.
 */
export function isPlanDue({ ageMs, linkCount, isChanging }: PlanFacts): boolean {
  if (linkCount < ENOUGH_LINKS) return ageMs >= HURRIED_PLAN_MS;
  return ageMs >= (isChanging ? PATIENT_PLAN_MS : SETTLED_PLAN_MS);
}

/**
 * - B1 Among few everybody is wanted by everybody.
 * - B2 Whoever is pinned is wanted.
 * - B3 Beyond these a node wants at most {@link DRAWN_LINKS} of all, as many of the living, and {@link NEAR_LINKS}, however large the mesh.
 * - B4 Some drawn ones may be dead: they are tried again, so that two halves of a mesh that took each other for dead find together.
 *
 * Drawn alike at both ends by a random order of pairs, so that the mesh of those links is one piece: where each node has its three first of such an
 * order it almost surely is (Cooper and Frieze, "On the connectivity of random k-th nearest neighbour graphs", 1995).
 */
export function wantedLinks(situation: LinkSituation): ReadonlySet<PeerId> {
  const { self, members, linked, pinned } = situation;
  if (!isLarge(situation)) return new Set(members.map(({ peerId }) => peerId)).union(pinned);
  const all = members.map(({ peerId, isAlive, rttMs }) => ({
    peerId,
    isAlive,
    at: order(self, peerId),
    step: isAlive ? rttStep(rttMs, linked.has(peerId)) : UNKNOWN_STEP,
  }));
  const living = all.filter(({ isAlive }) => isAlive);
  return new Set([
    ...pinned,
    ...firstOf(all, DRAWN_LINKS, byOrder).map(({ peerId }) => peerId),
    ...firstOf(living, DRAWN_LINKS, byOrder).map(({ peerId }) => peerId),
    ...firstOf(living, NEAR_LINKS, byStep).map(({ peerId }) => peerId),
  ]);
}

/** @returns the first few, in order: of a thousand members a dozen are drawn, and sorting all of them for it costs ten times as much. */
export function firstOf<T>(
  items: readonly T[],
  count: number,
  compare: (left: T, right: T) => number,
): readonly T[] {
  const first: T[] = [];
  for (const item of items) {
    if (first.length >= count && compare(item, first[count - 1] as T) >= 0) continue;
    let at = first.length;
    while (at > 0 && compare(item, first[at - 1] as T) < 0) at -= 1;
    first.splice(at, 0, item);
    if (first.length > count) first.pop();
  }
  return first;
}

/**
 * - B5 A link goes only where there are more than {@link LINKS_KEPT} beside the pinned ones, neither end draws or needs it, and it is older than
 *   {@link LINK_LINGER_MS}; so two nodes do not make and break the same link in turn.
 * @returns those to hang up on now, the farthest first.
 */
export function linksToClose(situation: LinkSituation, links: readonly HeldLink[]): readonly PeerId[] {
  const { pinned } = situation;
  if (!isLarge(situation)) return [];
  const beside = links.filter(({ peerId }) => !pinned.has(peerId));
  const tooMany = Math.min(beside.length - LINKS_KEPT, CLOSED_AT_ONCE);
  if (tooMany <= 0) return [];
  const wanted = wantedLinks(situation);
  return beside
    .filter(({ ageMs, idleMs = ageMs }) => Math.min(ageMs, idleMs) > LINK_LINGER_MS)
    .filter(({ peerId }) => !wanted.has(peerId) && !isDrawnBy(peerId, situation))
    .toSorted((left, right) => (right.rttMs ?? 0) - (left.rttMs ?? 0))
    .slice(0, tooMany)
    .map(({ peerId }) => peerId);
}

/** Whether a peer draws this node, by what is known here of the living and the dead. */
export function isDrawnBy(peer: PeerId, { self, members }: Pick<LinkSituation, 'self' | 'members'>): boolean {
  const own = order(peer, self);
  let before = 0;
  for (const { peerId, isAlive } of members) {
    if (peerId === peer || !isAlive || order(peer, peerId) >= own) continue;
    before += 1;
    if (before >= DRAWN_LINKS) return false;
  }
  return true;
}

interface Ordered {
  readonly at: number;
}

function byOrder(left: Ordered, right: Ordered): number {
  return left.at - right.at;
}

function byStep(left: Ordered & { readonly step: number }, right: typeof left): number {
  return left.step - right.step || byOrder(left, right);
}

/** In steps of four from 8 ms, and one less where there is a link already: estimates waver, and links shall not come and go with them. */
function rttStep(rttMs: number | undefined, isLinked: boolean): number {
  if (rttMs === undefined) return UNKNOWN_STEP;
  const step = Math.log(rttMs / NEAREST_STEP_MS) / Math.log(STEP_FACTOR);
  return Math.max(0, Math.ceil(step)) - (isLinked ? 1 : 0);
}

/** The same from both ends. */
function order(left: PeerId, right: PeerId): number {
  return left < right ? hash32(`${left} ${right}`) : hash32(`${right} ${left}`);
}
