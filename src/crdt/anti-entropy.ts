import { type Random, randomShuffle } from '../base/index.ts';
import type { Space, Stamp } from './space.ts';
import { hashesIn, type Part } from './summary.ts';

/** What a replica holds, in short: per space each owner with the hash of all its versions. */
export type Digest = readonly (readonly [
  space: string,
  hashes: readonly (readonly [owner: string, hash: number])[],
])[];

/** One owner about whom two replicas differ, with all versions that the answering one holds; none means it knows nothing of the owner. */
export type Difference = readonly [space: string, owner: string, stamps: readonly Stamp[]];

export interface Comparison {
  readonly differences: readonly Difference[];
  /** More owners differ than fit one answer. */
  readonly isMore: boolean;
}

/** Names one version to be sent. */
export type Want = readonly [space: string, owner: string, key: string];

/** A version as it travels. */
export type Item = readonly [space: string, wire: unknown];

/** What the asking replica lacks, and what it has that the other lacks. */
export interface Plan {
  readonly wants: readonly Want[];
  readonly offers: readonly Want[];
  /** There is more than one exchange may name. */
  readonly isCut: boolean;
}

/**
 * Most versions described in one comparison; one owner's are never divided. A page of whole versions is about half of them, and those that do not fit
 * it are described again.
 */
export const STAMPS_LIMIT = 1_024;
/** Most versions asked for, or offered, in one exchange. */
export const WANTS_LIMIT = 2_048;
/** Most bytes of versions in one message, counted roughly. The first one always fits. */
export const PAGE_BYTES = 256 * 2 ** 10;
const ITEM_OVERHEAD_BYTES = 64;

export function digestOf(spaces: readonly Space[]): Digest {
  return spaces.map((space) => [space.name, [...space.hashes()]]);
}

/**
 * The answering side: which owners differ, and what is held here of each.
 * @param random so that owners who can never be made equal (one side refuses them) do not keep others out of the page for ever.
 */
export function compareDigest(spaces: readonly Space[], theirs: Digest, random: Random): Comparison {
  const unequal = spaces.flatMap((space) => {
    const named = theirs.find(([name]) => name === space.name)?.[1] ?? [];
    return unequalOwners(space.hashes(), named).map((owner) => ({ space, owner }));
  });
  return described(unequal, random);
}

/** The same, where only some buckets are compared. */
export function compareParts(spaces: readonly Space[], theirs: readonly Part[], random: Random): Comparison {
  const unequal = theirs.flatMap(([name, bucketCount, buckets, named]) => {
    const space = spaces.find((candidate) => candidate.name === name);
    if (space === undefined) return []; // a newer version's space: not ours to keep
    const ours = hashesIn(space, bucketCount, new Set(buckets));
    return unequalOwners(ours, named).map((owner) => ({ space, owner }));
  });
  return described(unequal, random);
}

function described(
  unequal: readonly { readonly space: Space; readonly owner: string }[],
  random: Random,
): Comparison {
  const differences: Difference[] = [];
  let stampCount = 0;
  for (const { space, owner } of randomShuffle(random, unequal)) {
    if (stampCount >= STAMPS_LIMIT) return { differences, isMore: true };
    const stamps = space.stampsOf(owner);
    stampCount += 1 + stamps.length;
    differences.push([space.name, owner, stamps]);
  }
  return { differences, isMore: false };
}

/** The asking side: what to fetch and what to send so that both hold the same. */
export function planExchange(spaces: readonly Space[], differences: readonly Difference[]): Plan {
  const wants: Want[] = [];
  const offers: Want[] = [];
  for (const [name, owner, theirs] of differences) {
    const space = spaces.find((candidate) => candidate.name === name);
    if (space === undefined) continue; // a newer version's space: not ours to keep
    const ours = new Map(space.stampsOf(owner).map((stamp) => [stamp[0], stamp]));
    for (const their of theirs) {
      const own = ours.get(their[0]);
      ours.delete(their[0]);
      const order = own === undefined ? 'behind' : compareStamps(own, their);
      if (order === 'behind' || order === 'either') wants.push([name, owner, their[0]]);
      if (order === 'ahead' || order === 'either') offers.push([name, owner, their[0]]);
    }
    for (const key of ours.keys()) offers.push([name, owner, key]);
  }
  const isCut = Math.max(wants.length, offers.length) > WANTS_LIMIT;
  return { wants: wants.slice(0, WANTS_LIMIT), offers: offers.slice(0, WANTS_LIMIT), isCut };
}

/** @returns the versions named that are here and fit one message, in order, with how many names it got through. */
export function itemsOf(
  spaces: readonly Space[],
  wanted: readonly Want[],
): { items: Item[]; isCut: boolean } {
  const items: Item[] = [];
  let bytes = 0;
  for (const [name, owner, key] of wanted) {
    const wire = spaces.find((candidate) => candidate.name === name)?.wireOf(owner, key);
    if (wire === undefined) continue; // collected or replaced since it was described
    bytes += roughBytes(wire);
    if (bytes > PAGE_BYTES && items.length > 0) return { items, isCut: true };
    items.push([name, wire]);
  }
  return { items, isCut: false };
}

/** @returns about how long a version is when it travels, in bytes. */
export function roughBytes(wire: unknown): number {
  if (typeof wire === 'string' || wire instanceof Uint8Array) return wire.length + 3;
  if (Array.isArray(wire)) {
    return wire.reduce((sum: number, part: unknown) => sum + roughBytes(part), ITEM_OVERHEAD_BYTES);
  }
  return 9;
}

type Hashes = Iterable<readonly [owner: string, hash: number]>;

function unequalOwners(ours: Hashes, theirs: Hashes): string[] {
  const rest = new Map(theirs);
  const unequal: string[] = [];
  for (const [owner, hash] of ours) {
    if (rest.get(owner) !== hash) unequal.push(owner);
    rest.delete(owner);
  }
  return [...unequal, ...rest.keys()];
}

function compareStamps(own: Stamp, their: Stamp): 'same' | 'behind' | 'ahead' | 'either' {
  const order = own[1] - their[1] || own[2] - their[2];
  if (order !== 0) return order < 0 ? 'behind' : 'ahead';
  return own[3] === their[3] ? 'same' : 'either';
}
