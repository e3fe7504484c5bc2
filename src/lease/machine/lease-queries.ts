import { z } from 'zod';
import { keyText, textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import { CLAIM_KINDS, type ClaimKind } from './claim-rules.ts';
import { leaseIdSchema, nameSchema } from './coordination-checks.ts';
import {
  type Claim,
  claimsOf,
  findClaim,
  findLease,
  findResource,
  type Lease,
  type Resource,
  resourceKey,
} from './lease-records.ts';
import type { MachineModule, QueryContext } from './module.ts';

/** Holders and waiters that one answer names at most; the counts are always whole. */
const NAMED_LIMIT = 100;
/** Holders that each item of a list names at most; a list names no waiters. */
const LISTED_HOLDERS = 10;
/** Items of one page: with the longest names and values it still fits a frame. */
export const LEASE_PAGE_LIMIT = 200;

/** One who holds or waits. */
export interface ClaimView {
  readonly leaseId: string;
  readonly owner: string;
  readonly units: number;
  readonly value: string | null;
  /** Null while it waits. */
  readonly fencingToken: number | null;
  readonly ttlMs: number;
  /** Until its lease may end, in group time as of the last command applied; null while it waits. */
  readonly remainingMs: number | null;
}

/** Something that is held or waited for. */
export interface ResourceView {
  readonly kind: ClaimKind;
  readonly name: string;
  readonly capacity: number;
  readonly used: number;
  readonly holderCount: number;
  readonly waiterCount: number;
  readonly holders: readonly ClaimView[];
  readonly waiters: readonly ClaimView[];
  /** Position of the last change of its holders. */
  readonly revision: number;
}

export type LeaseView = Lease & { readonly remainingMs: number };

const pageLimit = z.number().int().min(1).max(LEASE_PAGE_LIMIT).default(100);
const listSchema = z.object({
  kind: z.enum(CLAIM_KINDS),
  prefix: z.string().max(1_024).default(''),
  limit: pageLimit,
  cursor: z.string().max(4_096).optional(),
});
const leasesSchema = z.object({ limit: pageLimit, cursor: z.string().max(4_096).optional() });

export const leaseQueries: MachineModule['queries'] = {
  resource: {
    parse: parseWith(z.object({ kind: z.enum(CLAIM_KINDS), name: nameSchema })),
    run: ({ kind, name }: { kind: ClaimKind; name: string }, context) => viewResource(context, kind, name),
  },
  resources: { parse: parseWith(listSchema), run: listResources },
  claim: {
    parse: parseWith(z.object({ leaseId: leaseIdSchema })),
    run: ({ leaseId }: { leaseId: string }, context) => viewClaim(context, leaseId),
  },
  lease: {
    parse: parseWith(z.object({ leaseId: leaseIdSchema })),
    run: ({ leaseId }: { leaseId: string }, context) => viewLease(context, findLease(context, leaseId)),
  },
  leases: { parse: parseWith(leasesSchema), run: listLeases },
};

/** @returns null when nobody holds it or waits for it. */
export function viewResource(context: QueryContext, kind: ClaimKind, name: string): ResourceView | null {
  const resource = findResource(context, kind, name);
  return resource === undefined
    ? null
    : viewOf(context, resource, { holders: NAMED_LIMIT, waiters: NAMED_LIMIT });
}

/** @returns the claim as it stands; null when it has ended. */
export function viewClaim(context: QueryContext, leaseId: string): ClaimView | null {
  const claim = findClaim(context, leaseId);
  return claim === undefined ? null : claimView(context, claim);
}

function viewOf(
  context: QueryContext,
  resource: Resource,
  most: { readonly holders: number; readonly waiters: number },
): ResourceView {
  const { kind, name, capacity, used, holders, waiting, revision } = resource;
  const named = (which: 'held' | 'queue', limit: number) =>
    limit === 0
      ? []
      : Array.from(claimsOf(context, resource, { which, limit }), (claim) => claimView(context, claim));
  return {
    kind,
    name,
    capacity,
    used,
    holderCount: holders,
    waiterCount: waiting,
    holders: named('held', most.holders),
    waiters: named('queue', most.waiters),
    revision,
  };
}

function claimView(context: QueryContext, claim: Claim): ClaimView {
  const { leaseId, owner, units, value, fencingToken, ttlMs } = claim;
  const remainingMs = viewLease(context, findLease(context, leaseId))?.remainingMs ?? null;
  return { leaseId, owner, units, value, fencingToken, ttlMs, remainingMs };
}

function viewLease(context: QueryContext, lease: Lease | undefined): LeaseView | null {
  if (lease === undefined) return null;
  return { ...lease, remainingMs: Math.max(0, lease.deadlineMs - context.groupMs) };
}

function listResources({ kind, prefix, limit, cursor }: z.infer<typeof listSchema>, context: QueryContext) {
  const start = resourceKey(kind, prefix);
  const from = cursor === undefined ? start : `${kind}/${textKey(cursor)}\u0000`;
  const items: ResourceView[] = [];
  for (const [key, resource] of context
    .table<Resource>('resources')
    .range({ from, to: `${kind}0`, limit: limit + 1 })) {
    if (!key.startsWith(start)) break;
    if (items.length === limit) return { items, cursor: items.at(-1)?.name };
    items.push(viewOf(context, resource, { holders: LISTED_HOLDERS, waiters: 0 }));
  }
  return { items };
}

function listLeases({ limit, cursor }: z.infer<typeof leasesSchema>, context: QueryContext) {
  const from = cursor === undefined ? '' : `${textKey(cursor)}\u0000`;
  const found = [...context.table<Lease>('leases').range({ from, limit: limit + 1 })];
  const items = found.slice(0, limit).map(([, lease]) => viewLease(context, lease));
  return found.length > limit ? { items, cursor: keyText(found[limit - 1]?.[0] ?? '') } : { items };
}
