import { AspenError } from '../../base/index.ts';
import { admittedNow, type ClaimKind } from './claim-rules.ts';
import { beginLease, prolongLease } from './lease-life.ts';
import {
  CLAIMED_NAMES_LIMIT,
  type Claim,
  claimsOf,
  countDown,
  countUp,
  exhausted,
  findClaim,
  findLease,
  findResource,
  LEASES_LIMIT,
  type Lease,
  placeKey,
  type Resource,
  resourceKey,
  WAITERS_LIMIT,
} from './lease-records.ts';
import type { ApplyContext } from './module.ts';

/** A claim that was let in while it waited has this long to be taken up by the node that waited; then it passes on. Unit: ms. */
export const TAKE_UP_MS = 10_000;

export interface ClaimWish {
  readonly leaseId: string;
  readonly kind: ClaimKind;
  readonly name: string;
  readonly capacity: number;
  readonly units: number;
  readonly ttlMs: number;
  readonly value: string | null;
  readonly owner: string;
  /** Whether to queue; where not, it is refused unless it is let in at once. */
  readonly waits: boolean;
}

/**
 * Claims to named things: the queue, and who is let in (rules K1 to K3 in `claim-rules.ts`).
 *
 * - K4 A claim holds exactly while its lease lives; whoever is next is let in by the same command that ended it.
 * - K5 A fencing token is the position of the command that let the claim in: of two holders that a name had one after the other,
 *   the later has the greater token, for ever. Claims let in together (readers, permits, a barrier) may share one.
 * - K6 A refused claim leaves no place in the queue.
 */
export function applyClaim(wish: ClaimWish, context: ApplyContext): Claim {
  if (findClaim(context, wish.leaseId) !== undefined || findLease(context, wish.leaseId) !== undefined) {
    throw new AspenError('CONFLICT', `lease id ${wish.leaseId} is in use`);
  }
  const resource = findResource(context, wish.kind, wish.name) ?? newResource(wish, context);
  requireCapacity(wish, resource);
  enqueue(wish, resource, context);
  admitNext(wish, context);
  const claim = findClaim(context, wish.leaseId) as Claim;
  if (claim.fencingToken === null && !wish.waits) throw taken(wish, context); // K6: a refusal undoes every write
  return claim;
}

/** Takes it out, whether it held or waited, and lets the next ones in. Its lease is the caller's to end. */
export function removeClaim(claim: Claim, context: ApplyContext): void {
  const resource = findResource(context, claim.kind, claim.name) as Resource;
  const isHeld = claim.fencingToken !== null;
  context.table<string>(isHeld ? 'held' : 'queue').delete(placeKey(resource, claim));
  context.table<Claim>('claims').delete(claim.leaseId);
  context.emit({ type: 'claimEnded', leaseId: claim.leaseId });
  const left = isHeld
    ? { ...resource, used: resource.used - claim.units, holders: resource.holders - 1 }
    : { ...resource, waiting: resource.waiting - 1 };
  if (left.holders + left.waiting === 0) forget(left, context);
  else context.table<Resource>('resources').put(resourceKey(claim.kind, claim.name), left);
  if (isHeld) noteChange(claim, context);
  admitNext(claim, context); // K4
}

/** @throws AspenError FENCED when the claim is not (or no longer) held. */
export function requireHeld(
  { kind, name, leaseId }: Pick<Claim, 'kind' | 'name' | 'leaseId'>,
  context: ApplyContext,
): { readonly claim: Claim; readonly lease: Lease } {
  const claim = findClaim(context, leaseId);
  const lease = findLease(context, leaseId);
  if (claim?.kind === kind && claim.name === name && claim.fencingToken !== null && lease !== undefined) {
    return { claim, lease };
  }
  const current = currentHolder(kind, name, context);
  throw new AspenError('FENCED', `${kind} "${name}" is not held by ${leaseId} (any more)`, {
    details: { current },
  });
}

export function applyProclaim(
  body: { readonly name: string; readonly leaseId: string; readonly value: string },
  context: ApplyContext,
): Claim {
  const { claim } = requireHeld({ ...body, kind: 'election' }, context);
  const proclaimed = { ...claim, value: body.value };
  context.table<Claim>('claims').put(claim.leaseId, proclaimed);
  noteChange(claim, context);
  return proclaimed;
}

export function applyRenewClaim(
  body: Pick<Claim, 'kind' | 'name' | 'leaseId'>,
  context: ApplyContext,
): { readonly fencingToken: number; readonly ttlMs: number } {
  const { claim, lease } = requireHeld(body, context);
  prolongLease(context, lease);
  return { fencingToken: claim.fencingToken as number, ttlMs: lease.ttlMs };
}

function newResource({ kind, name, capacity }: ClaimWish, context: ApplyContext): Resource {
  countUp(context, 'names', { name: 'CLAIMED_NAMES_LIMIT', most: CLAIMED_NAMES_LIMIT });
  const { position } = context;
  return { id: position, kind, name, capacity, used: 0, holders: 0, waiting: 0, revision: position };
}

function requireCapacity({ kind, name, capacity }: ClaimWish, resource: Resource): void {
  if (capacity === resource.capacity) return;
  const what = kind === 'barrier' ? 'participants' : 'permits';
  throw new AspenError(
    'CONFLICT',
    `${kind} "${name}" is in use with ${resource.capacity} ${what}, not ${capacity}`,
    { details: { current: resource.capacity } },
  );
}

function enqueue(wish: ClaimWish, resource: Resource, context: ApplyContext): void {
  const { kind, name } = wish;
  if (resource.waiting >= WAITERS_LIMIT) {
    if (!wish.waits) throw taken(wish, context);
    const fact = `${resource.waiting} wait for ${kind} "${name}"`;
    throw exhausted(fact, { name: 'WAITERS_LIMIT', most: WAITERS_LIMIT });
  }
  countUp(context, 'leases', { name: 'LEASES_LIMIT', most: LEASES_LIMIT }); // E4
  const { leaseId, units, ttlMs, value, owner } = wish;
  const order = context.position;
  const claim: Claim = { leaseId, kind, name, units, ttlMs, value, owner, order, fencingToken: null };
  context.table<Claim>('claims').put(leaseId, claim);
  context.table<string>('queue').put(placeKey(resource, claim), leaseId);
  context
    .table<Resource>('resources')
    .put(resourceKey(kind, name), { ...resource, waiting: resource.waiting + 1 });
  context.emit({ type: 'queued', leaseId });
}

function admitNext({ kind, name }: Pick<Claim, 'kind' | 'name'>, context: ApplyContext): void {
  const resource = findResource(context, kind, name);
  if (resource === undefined || resource.waiting === 0) return;
  const count = admittedNow(resource, unitsOf(claimsOf(context, resource, { which: 'queue' })));
  if (count === 0) return;
  const admitted = [...claimsOf(context, resource, { which: 'queue', limit: count })];
  for (const claim of admitted) admit(claim, resource, context);
  const units = admitted.reduce((sum, claim) => sum + claim.units, 0);
  context.table<Resource>('resources').put(resourceKey(kind, name), {
    ...resource,
    used: resource.used + units,
    holders: resource.holders + admitted.length,
    waiting: resource.waiting - admitted.length,
    revision: context.position,
  });
  context.emit({ type: 'changed', kind, name });
}

function admit(claim: Claim, resource: Resource, context: ApplyContext): void {
  const place = placeKey(resource, claim);
  context.table<string>('queue').delete(place);
  context.table<string>('held').put(place, claim.leaseId);
  context.table<Claim>('claims').put(claim.leaseId, { ...claim, fencingToken: context.position }); // K5
  const isAtOnce = claim.order === context.position;
  beginLease(context, claim, isAtOnce ? claim.ttlMs : TAKE_UP_MS);
  context.emit({ type: 'admitted', leaseId: claim.leaseId });
}

function* unitsOf(claims: Iterable<Claim>): Generator<number, void, undefined> {
  for (const { units } of claims) yield units;
}

function forget({ kind, name }: Resource, context: ApplyContext): void {
  context.table<Resource>('resources').delete(resourceKey(kind, name));
  countDown(context, 'names');
}

function noteChange({ kind, name }: Pick<Claim, 'kind' | 'name'>, context: ApplyContext): void {
  const resource = findResource(context, kind, name);
  if (resource !== undefined) {
    context
      .table<Resource>('resources')
      .put(resourceKey(kind, name), { ...resource, revision: context.position });
  }
  context.emit({ type: 'changed', kind, name });
}

function taken({ kind, name }: ClaimWish, context: ApplyContext): AspenError {
  const current = currentHolder(kind, name, context);
  const by = current === null ? 'others wait for it' : `held by ${current.leaseId}`;
  return new AspenError('CONFLICT', `${kind} "${name}" cannot be had at once: ${by}`, {
    details: { current },
  });
}

function currentHolder(kind: ClaimKind, name: string, context: ApplyContext) {
  const resource = findResource(context, kind, name);
  if (resource === undefined) return null;
  for (const { leaseId, fencingToken, owner, value } of claimsOf(context, resource, {
    which: 'held',
    limit: 1,
  })) {
    return { leaseId, fencingToken, owner, value };
  }
  return null;
}
