/** What can be claimed. All of them are one thing: a capacity, and a queue of claims for units of it. */
export const CLAIM_KINDS = ['lock', 'election', 'semaphore', 'rwlock', 'barrier'] as const;
export type ClaimKind = (typeof CLAIM_KINDS)[number];

/** Units of a read-write lock: a reader takes one, a writer all. Hence also the most readers at once. */
export const RWLOCK_UNITS = 2 ** 20;
/** Largest capacity of anything. */
export const CAPACITY_LIMIT = 2 ** 20;

/** What the rule needs to know of a claimed thing. */
export interface Occupancy {
  readonly kind: ClaimKind;
  readonly capacity: number;
  /** Units held now. */
  readonly used: number;
  readonly holders: number;
  readonly waiting: number;
}

/**
 * Who is next, as a pure rule.
 *
 * - K1 The units held never exceed the capacity: a lock and an election have one holder, a writer holds alone.
 * - K2 First come, first served: only claims at the head of the queue are let in, so that a small claim never overtakes a large
 *   one and readers never starve a writer.
 * - K3 A barrier opens for `capacity` claims in one command, when so many wait and all of the round before have left.
 *
 * @param queue units of those who wait, the first one first; read only as far as needed.
 * @returns how many from the head of the queue are let in now.
 */
export function admittedNow(occupancy: Occupancy, queue: Iterable<number>): number {
  const { kind, capacity, used, holders, waiting } = occupancy;
  if (kind === 'barrier') return holders === 0 && waiting >= capacity ? capacity : 0; // K3
  let free = capacity - used;
  let admitted = 0;
  for (const units of queue) {
    if (units > free) break; // K1, K2
    free -= units;
    admitted += 1;
  }
  return admitted;
}
