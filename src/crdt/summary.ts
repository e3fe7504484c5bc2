import { hash32, hash48 } from '../base/index.ts';
import { addMark, type Space } from './space.ts';

/**
 * What a replica holds, in a few hundred bytes: owners fall into buckets by a hash of their names, and of each bucket only a sum is told.
 *
 * - C13 It leads to the differences that naming all owners would. Sums are salted: two replicas that differ and look equal by chance, or because an
 *   owner saw to it, look equal once and not again (C8).
 * - C14 What it takes, with the owners of one bucket, grows with the root of the owners.
 */
export interface Summary {
  /** Drawn for each summary. A whole number, 0 <= n < 2^32. */
  readonly salt: number;
  /** Per space the sum of each bucket; their number is a power of two. */
  readonly sums: readonly (readonly [space: string, sums: readonly number[]])[];
}

/** Some buckets of a space. */
export type Buckets = readonly [space: string, bucketCount: number, buckets: readonly number[]];

/** What a replica holds in some buckets: each owner there with the hash of all its versions. */
export type Part = readonly [
  space: string,
  bucketCount: number,
  buckets: readonly number[],
  hashes: readonly (readonly [owner: string, hash: number])[],
];

export const BUCKETS_LIMIT = 1_024;
/** An owner with its hash takes so much more than a sum that this many times the owners, under the root, is about the cheapest number of buckets. */
const BUCKETS_PER_OWNER_SQUARED = 20;
const BUCKET_SEED = 0x2545f491;

export function summaryOf(spaces: readonly Space[], salt: number): Summary {
  return { salt, sums: spaces.map((space) => [space.name, sumsOf(space, bucketCountFor(space), salt)]) };
}

/** The answering side. @returns the buckets that differ, of spaces that both know. */
export function unequalBuckets(spaces: readonly Space[], { salt, sums }: Summary): readonly Buckets[] {
  return sums.flatMap(([name, theirs]): Buckets[] => {
    const space = spaces.find((candidate) => candidate.name === name);
    if (space === undefined) return []; // a newer version's space: not ours to keep
    const ours = sumsOf(space, theirs.length, salt);
    const unequal = [...theirs.keys()].filter((bucket) => theirs[bucket] !== ours[bucket]);
    return unequal.length === 0 ? [] : [[name, theirs.length, unequal]];
  });
}

/** The asking side: what is held in those buckets. */
export function partsOf(spaces: readonly Space[], selection: readonly Buckets[]): readonly Part[] {
  return selection.flatMap(([name, bucketCount, buckets]): Part[] => {
    const space = spaces.find((candidate) => candidate.name === name);
    if (space === undefined) return [];
    return [[name, bucketCount, buckets, [...hashesIn(space, bucketCount, new Set(buckets))]]];
  });
}

/** @returns each owner in those buckets with its hash. */
export function* hashesIn(
  space: Space,
  bucketCount: number,
  buckets: ReadonlySet<number>,
): Iterable<readonly [owner: string, hash: number]> {
  for (const each of space.hashes()) if (buckets.has(bucketOf(each[0], bucketCount))) yield each;
}

/** @returns a power of two that grows with the root of the number of owners. */
export function bucketCountFor(space: Space): number {
  const exponent = Math.round(Math.log2(BUCKETS_PER_OWNER_SQUARED * Math.max(1, space.ownerCount)) / 2);
  return Math.min(BUCKETS_LIMIT, 2 ** exponent);
}

export function isBucketCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= BUCKETS_LIMIT && (count & (count - 1)) === 0;
}

function sumsOf(space: Space, bucketCount: number, salt: number): number[] {
  const sums = new Array<number>(bucketCount).fill(0);
  for (const [owner, hash] of space.hashes()) {
    const bucket = bucketOf(owner, bucketCount);
    sums[bucket] = addMark(sums[bucket] ?? 0, saltedMark(owner, hash, salt));
  }
  return sums;
}

function bucketOf(owner: string, bucketCount: number): number {
  return hash32(owner, BUCKET_SEED) & (bucketCount - 1);
}

/** @returns a whole number, 0 <= n < 2^48. */
function saltedMark(owner: string, hash: number, salt: number): number {
  return hash48(`${owner} ${hash}`, salt, ~salt);
}
