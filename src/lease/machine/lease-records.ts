import { AspenError } from '../../base/index.ts';
import { type Key, numberKey, textKey } from '../../storage/index.ts';
import type { ClaimKind, Occupancy } from './claim-rules.ts';
import type { ApplyContext, QueryContext } from './module.ts';

/** Leases at one time. */
export const LEASES_LIMIT = 200_000;
/** Names that are held or waited for at one time, of all kinds together. */
export const CLAIMED_NAMES_LIMIT = 100_000;
/** Claims that wait for one name. */
export const WAITERS_LIMIT = 1_000;

/** A promise that somebody is alive, in group time. What hangs on it ends with it, in the same command. */
export interface Lease {
  readonly leaseId: string;
  readonly ttlMs: number;
  /** Group time at which the leader may end it. */
  readonly deadlineMs: number;
  readonly grantedAtMs: number;
  /** The node through which it was asked for. */
  readonly owner: string;
}

/** A wish to hold units of something. Its lease begins when it holds them, and has the same id. */
export interface Claim {
  readonly leaseId: string;
  readonly kind: ClaimKind;
  readonly name: string;
  readonly units: number;
  readonly ttlMs: number;
  /** What the holder of an election proclaims. */
  readonly value: string | null;
  readonly owner: string;
  /** Position of the command that asked: the order of the queue. */
  readonly order: number;
  /** Position of the command that let it in; null while it waits. */
  readonly fencingToken: number | null;
}

/** Something that is held or waited for; gone when it is neither. */
export interface Resource extends Occupancy {
  readonly id: number;
  readonly name: string;
  /** Position of the last change of its holders. */
  readonly revision: number;
}

/** How many there are, for the limits. */
export interface LeaseCounts {
  readonly leases: number;
  readonly names: number;
  readonly endpoints: number;
}

type AnyContext = ApplyContext | QueryContext;

export const LEASE_TABLES = [
  'leases',
  'expiry',
  'resources',
  'claims',
  'held',
  'queue',
  'endpoints',
  'endpoints-of',
  'services',
  'counts',
] as const;

export function findLease(context: AnyContext, leaseId: string): Lease | undefined {
  return context.table<Lease>('leases').get(leaseId);
}

export function findClaim(context: AnyContext, leaseId: string): Claim | undefined {
  return context.table<Claim>('claims').get(leaseId);
}

export function findResource(context: AnyContext, kind: ClaimKind, name: string): Resource | undefined {
  return context.table<Resource>('resources').get(resourceKey(kind, name));
}

export function resourceKey(kind: ClaimKind, name: string): Key {
  return `${kind}/${textKey(name)}`;
}

/** Key of a claim in `held` and `queue`: those of one resource lie together, in the order in which they asked. */
export function placeKey(resource: Pick<Resource, 'id'>, claim: Pick<Claim, 'order'>): Key {
  return numberKey(resource.id) + numberKey(claim.order);
}

/** Claims of a resource that hold it, or wait for it, in the order in which they asked. */
export function* claimsOf(
  context: AnyContext,
  { id }: Pick<Resource, 'id'>,
  { which, limit }: { readonly which: 'held' | 'queue'; readonly limit?: number },
): Generator<Claim, void, undefined> {
  const range = { prefix: numberKey(id), ...(limit !== undefined && { limit }) };
  for (const [, leaseId] of context.table<string>(which).range(range)) {
    yield findClaim(context, leaseId) as Claim;
  }
}

export function readCounts(context: AnyContext): LeaseCounts {
  return context.table<LeaseCounts>('counts').get('all') ?? { leases: 0, names: 0, endpoints: 0 };
}

/** @throws AspenError RESOURCE_EXHAUSTED when one more of `what` would exceed `limit`. */
export function countUp(
  context: ApplyContext,
  what: keyof LeaseCounts,
  limit: { readonly name: string; readonly most: number },
): void {
  const counts = readCounts(context);
  if (counts[what] >= limit.most) throw exhausted(`there are ${counts[what]} ${what}`, limit);
  context.table<LeaseCounts>('counts').put('all', { ...counts, [what]: counts[what] + 1 });
}

export function countDown(context: ApplyContext, what: keyof LeaseCounts): void {
  const counts = readCounts(context);
  context.table<LeaseCounts>('counts').put('all', { ...counts, [what]: counts[what] - 1 });
}

export function exhausted(
  fact: string,
  { name, most }: { readonly name: string; readonly most: number },
): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `${fact}, the limit is ${most}`, {
    details: { limit: name, retryAfterMs: 1_000 },
  });
}
