import { hash32, type PeerId } from '../base/index.ts';
import { circuitAddress, isCircuit } from './circuit-address.ts';
import { isLoopback } from './listen-addresses.ts';
import { isPublicAddress } from './public-address.ts';
import type { PeerLink } from './transport.ts';

/** What the owner says: carry circuits for members where others reach this node, always, or never. */
export type RelaySetting = 'auto' | 'on' | 'off';

/** Whether others reach this node from anywhere: it was seen, it has no address for it, or nobody has come yet. */
export type Reachability = 'public' | 'private' | 'unknown';

/** A member that says it carries circuits. */
export interface RelayCandidate {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
  readonly link: Pick<PeerLink, 'path' | 'rttMs'> | undefined;
  /** How often in a row it was not reached. */
  readonly failures: number;
}

/** To how many relays a node keeps a link, so that one may go away. */
export const RELAYS_WANTED = 3;
/** Most addresses of one relay in circuits that are told. */
const ADDRESSES_OF_RELAY = 2;
/** What others take for an address at most. Unit: characters. */
const ADDRESS_CHARACTERS_LIMIT = 256;
/** So many of a node's own addresses are told before its circuits, and the rest after them. */
const OWN_FIRST = 8;

/**
 * - E1 A node says of itself that it is reached from anywhere only after somebody came from a public address to one of its own: an
 *   address alone says nothing, a firewall may be before it.
 */
export function judgeReachability(
  ownAddresses: readonly string[],
  { wasReached }: { readonly wasReached: boolean },
): Reachability {
  if (!ownAddresses.some(isPublicAddress)) return 'private';
  return wasReached ? 'public' : 'unknown';
}

/**
 * E1 Neighbours prove nothing: in one IPv6 network everybody has public addresses, whatever the firewall between it and the world lets in.
 * @param remote the address that somebody came from.
 */
export function isFromElsewhere(remote: string, ownAddresses: readonly string[]): boolean {
  if (!isPublicAddress(remote)) return false;
  const network = networkOf(remote);
  return network === undefined || !ownAddresses.some((own) => networkOf(own) === network);
}

/** @returns the first 64 bits of an IPv6 address; undefined for anything else. */
function networkOf(address: string): string | undefined {
  const [, kind, host = ''] = address.split('/');
  if (kind !== 'ip6') return undefined;
  const [head = '', tail] = host.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle =
    tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...middle, ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

/** E2 What the owner says goes before what was seen. */
export function offersCircuits(setting: RelaySetting, reachability: Reachability): boolean {
  return setting === 'on' || (setting === 'auto' && reachability === 'public');
}

/**
 * The relays to keep a link to: those that are linked directly stay, near ones first; the rest is drawn by a hash of both names, so
 * that the nodes of a mesh spread over its relays and each finds the same ones again. Whoever was not reached comes after the others (E3).
 */
export function chooseRelays(
  self: PeerId,
  candidates: readonly RelayCandidate[],
  wanted = RELAYS_WANTED,
): readonly RelayCandidate[] {
  const rank = ({ peerId, link, failures }: RelayCandidate): readonly number[] => [
    link?.path === 'direct' ? 0 : 1,
    link?.path === 'direct' ? Math.round(link.rttMs ?? Number.MAX_SAFE_INTEGER) : failures,
    hash32(`${self} ${peerId}`),
  ];
  return candidates
    .filter(({ peerId }) => peerId !== self)
    .map((candidate) => ({ candidate, rank: rank(candidate) }))
    .toSorted((left, right) => compare(left.rank, right.rank))
    .slice(0, wanted)
    .map(({ candidate }) => candidate);
}

/**
 * Under which addresses this node is reached over its relays.
 * @param relays only those to which the link is direct count: a circuit over a circuit is carried by nobody (Y1).
 */
export function circuitsOver(relays: readonly RelayCandidate[]): readonly string[] {
  return relays
    .filter(({ link }) => link?.path === 'direct')
    .flatMap(({ peerId, addresses }) =>
      usableOf(addresses).map((relayAddress) => circuitAddress({ relay: peerId, relayAddress })),
    )
    .filter(({ length }) => length <= ADDRESS_CHARACTERS_LIMIT);
}

/** In the order in which they are told: others look at the first sixteen, and a machine may have more interfaces than that. */
export function toldAddresses(own: readonly string[], circuits: readonly string[]): readonly string[] {
  return [...own.slice(0, OWN_FIRST), ...circuits, ...own.slice(OWN_FIRST)];
}

/** Public ones where there are any. */
function usableOf(addresses: readonly string[]): readonly string[] {
  const direct = addresses.filter((address) => !isCircuit(address));
  const open = direct.filter(isPublicAddress);
  const near = direct.filter((address) => !isLoopback(address));
  const [best = []] = [open, near, direct].filter((some) => some.length > 0);
  return best.slice(0, ADDRESSES_OF_RELAY);
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at < 0 ? 0 : (left[at] as number) - (right[at] as number);
}

const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;

/** @param failures tries for a better path so far. @returns the bound of the pause before the next one, in ms. */
export function upgradePauseMs(failures: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
}

/**
 * @param search for a direct path to one peer: tries so far, all in vain; how long until the next one, in ms; who of the two begins holes.
 * @returns for people, what was tried and when it is tried again.
 */
export function whyStillRelayed(search: {
  readonly failures: number;
  readonly isRunning: boolean;
  readonly inMs: number;
  readonly beginsHoles: boolean;
}): string {
  const { failures, isRunning, inMs, beginsHoles } = search;
  const next = isRunning ? 'now' : `in ${Math.max(1, Math.ceil(inMs / 1_000))} s`;
  if (failures === 0) return `the link is new, a direct path is tried ${next}`;
  const holes = beginsHoles ? 'no hole opened through the routers between' : 'the other end begins the holes';
  const tries = failures === 1 ? 'one try' : `${failures} tries`;
  return `no direct path in ${tries}: no address it tells answers from here, ${holes}; tried again ${next}`;
}

const PUNCHES_AT_FIRST = 4;
const PUNCH_EVERY = 8;

/**
 * U2 A hole costs a third member a handshake on either side: where the routers did not let it through a few times they hardly will, and it is
 * tried only now and then.
 */
export function isWorthPunching(failures: number): boolean {
  return failures < PUNCHES_AT_FIRST || failures % PUNCH_EVERY === 0;
}
