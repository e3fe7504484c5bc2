import { type Key, keyNumber, numberKey } from '../../storage/index.ts';
import { findLease, type Lease } from './lease-records.ts';
import type { ApplyContext, QueryContext } from './module.ts';

/**
 * Life and end of leases.
 *
 * - E1 A lease ends by a command only, never by a clock alone: until `expire` or `revoke` is applied it can be prolonged.
 * - E2 `expire` ends exactly the leases whose deadline has come in the group time of that command.
 * - E3 The index of deadlines holds each lease once.
 */
export function beginLease(
  context: ApplyContext,
  lease: Pick<Lease, 'leaseId' | 'ttlMs' | 'owner'>,
  firstMs: number,
): Lease {
  const { leaseId, ttlMs, owner } = lease;
  const begun = {
    leaseId,
    ttlMs,
    owner,
    grantedAtMs: context.groupMs,
    deadlineMs: context.groupMs + firstMs,
  };
  putLease(context, begun);
  return begun;
}

/** From now on for its whole time to live. */
export function prolongLease(context: ApplyContext, lease: Lease): Lease {
  const prolonged = { ...lease, deadlineMs: context.groupMs + lease.ttlMs };
  context.table<1>('expiry').delete(expiryKey(lease)); // E3
  putLease(context, prolonged);
  return prolonged;
}

export function removeLease(context: ApplyContext, lease: Lease): void {
  context.table<1>('expiry').delete(expiryKey(lease)); // E3
  context.table<Lease>('leases').delete(lease.leaseId);
  context.emit({ type: 'leaseEnded', leaseId: lease.leaseId });
}

/** E2: leases whose time has come, those first whose time came first. */
export function dueLeases(context: ApplyContext, limit: number): readonly Lease[] {
  const due = context.table<1>('expiry').range({ to: numberKey(context.groupMs + 1), limit });
  return Array.from(due, ([key]) => findLease(context, key.slice(8)) as Lease);
}

/** @returns group time at which the next lease ends; null when there is none. */
export function nextDeadlineMs(context: QueryContext): number | null {
  for (const [key] of context.table<1>('expiry').range({ limit: 1 })) return keyNumber(key);
  return null;
}

function putLease(context: ApplyContext, lease: Lease): void {
  context.table<Lease>('leases').put(lease.leaseId, lease);
  context.table<1>('expiry').put(expiryKey(lease), 1);
}

function expiryKey({ deadlineMs, leaseId }: Lease): Key {
  return numberKey(deadlineMs) + leaseId;
}
