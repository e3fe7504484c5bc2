import { removeClaim } from './claims.ts';
import { removeLease } from './lease-life.ts';
import { type Claim, countDown, findClaim, findLease, type Lease } from './lease-records.ts';
import type { ApplyContext } from './module.ts';
import { removeEndpointsOf } from './services.ts';

/**
 * Everything that hangs on a lease ends with it, in the same command.
 *
 * - E4 A lease is counted once, from the command that asked for it (a claim that waits counts) to the one that ends it, so that
 *   ending one and letting the next in can never be refused for a limit.
 */
export function endLease(context: ApplyContext, lease: Lease): void {
  removeLease(context, lease);
  const claim = findClaim(context, lease.leaseId);
  if (claim !== undefined) removeClaim(claim, context);
  removeEndpointsOf(context, lease.leaseId);
  countDown(context, 'leases');
}

/** Takes a claim out of the queue that was not let in yet. */
export function endWaiting(context: ApplyContext, claim: Claim): void {
  removeClaim(claim, context);
  countDown(context, 'leases');
}

/** @returns what it was that ended: nothing, when it had ended before. */
export function endWhatever(context: ApplyContext, leaseId: string): 'held' | 'waiting' | 'nothing' {
  const lease = findLease(context, leaseId);
  if (lease !== undefined) {
    endLease(context, lease);
    return 'held';
  }
  const claim = findClaim(context, leaseId);
  if (claim === undefined) return 'nothing';
  endWaiting(context, claim);
  return 'waiting';
}
