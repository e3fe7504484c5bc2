import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { parseWith } from './checks.ts';
import { CAPACITY_LIMIT, CLAIM_KINDS } from './claim-rules.ts';
import { applyClaim, applyProclaim, applyRenewClaim, requireHeld } from './claims.ts';
import {
  boundedText,
  leaseIdSchema,
  nameSchema,
  ownerSchema,
  PROCLAIMED_BYTES_LIMIT,
  ttlSchema,
} from './coordination-checks.ts';
import { endLease, endWaiting, endWhatever } from './lease-end.ts';
import { beginLease, dueLeases, nextDeadlineMs, prolongLease } from './lease-life.ts';
import { leaseQueries } from './lease-queries.ts';
import {
  countUp,
  findClaim,
  findLease,
  LEASE_TABLES,
  LEASES_LIMIT,
  type Lease,
  WAITERS_LIMIT,
} from './lease-records.ts';
import type { ApplyContext, MachineModule } from './module.ts';
import {
  parseEndpointRef,
  removeEndpoint,
  requireEndpoint,
  serviceCommands,
  serviceQueries,
} from './services.ts';

/** Leases that one `expire` ends at most. */
const EXPIRE_LIMIT = 1_000;
/** Claims that one `drop` takes out at most. */
export const DROP_LIMIT = 1_000;

const leaseRef = z.object({ leaseId: leaseIdSchema });
const grantSchema = leaseRef.extend({ ttlMs: ttlSchema, owner: ownerSchema });
const heldRef = leaseRef.extend({ kind: z.enum(CLAIM_KINDS), name: nameSchema });
const valueSchema = boundedText(PROCLAIMED_BYTES_LIMIT);
const claimSchema = heldRef
  .extend({
    capacity: z.number().int().min(1).max(CAPACITY_LIMIT),
    units: z.number().int().min(1),
    ttlMs: ttlSchema,
    value: valueSchema.nullable(),
    owner: ownerSchema,
    waits: z.boolean(),
  })
  .refine(({ units, capacity }) => units <= capacity, {
    path: ['units'],
    error: 'more than there will ever be',
  })
  .refine(({ kind, capacity }) => kind !== 'barrier' || capacity <= WAITERS_LIMIT, {
    path: ['capacity'],
    error: `a barrier takes at most ${WAITERS_LIMIT}`,
  });
const proclaimSchema = leaseRef.extend({ name: nameSchema, value: valueSchema });
const dropSchema = z.object({ leaseIds: z.array(leaseIdSchema).max(DROP_LIMIT) });

/** Leases, and what is held by them: locks, elections, semaphores, read-write locks, barriers; and services offered under them. */
export const leasesModule: MachineModule = {
  name: 'leases',
  tables: LEASE_TABLES,
  commands: {
    grant: { since: 1, parse: parseWith(grantSchema), apply: applyGrant },
    keepAlive: { since: 1, parse: parseWith(leaseRef), apply: applyKeepAlive },
    revoke: { since: 1, parse: parseWith(leaseRef), apply: applyRevoke },
    claim: { since: 1, parse: parseWith(claimSchema), apply: applyClaim },
    renew: { since: 1, parse: parseWith(heldRef), apply: applyRenewClaim },
    release: { since: 1, parse: parseWith(heldRef), apply: applyRelease },
    proclaim: { since: 1, parse: parseWith(proclaimSchema), apply: applyProclaim },
    ...serviceCommands,
    deregister: { since: 1, parse: parseEndpointRef, apply: applyDeregister },
    /** Gives a claim up, waiting or held; nothing happens when it is gone. */
    leave: {
      since: 1,
      parse: parseWith(leaseRef),
      apply: ({ leaseId }: { readonly leaseId: string }, context) => ({ was: endWhatever(context, leaseId) }),
    },
    /** Takes waiting claims out whose node was not heard of; those let in meanwhile stay. */
    drop: { since: 1, isLeadersOnly: true, parse: parseWith(dropSchema), apply: applyDrop },
    expire: {
      since: 1,
      isLeadersOnly: true,
      parse: () => null,
      apply: (_body, context) => applyExpire(context),
    },
  },
  queries: {
    ...leaseQueries,
    ...serviceQueries,
    nextDeadline: { parse: () => null, run: (_body, context) => nextDeadlineMs(context) },
  },
};

function applyGrant(
  body: z.infer<typeof grantSchema>,
  context: ApplyContext,
): { readonly leaseId: string; readonly ttlMs: number } {
  const { leaseId, ttlMs } = body;
  if (findLease(context, leaseId) !== undefined || findClaim(context, leaseId) !== undefined) {
    throw new AspenError('CONFLICT', `lease id ${leaseId} is in use`);
  }
  countUp(context, 'leases', { name: 'LEASES_LIMIT', most: LEASES_LIMIT });
  beginLease(context, body, ttlMs);
  return { leaseId, ttlMs };
}

function applyKeepAlive({ leaseId }: z.infer<typeof leaseRef>, context: ApplyContext) {
  const { ttlMs } = prolongLease(context, requireLease(leaseId, context));
  return { leaseId, ttlMs };
}

function applyRevoke({ leaseId }: z.infer<typeof leaseRef>, context: ApplyContext) {
  endLease(context, requireLease(leaseId, context));
  return { revoked: true };
}

function applyRelease(body: z.infer<typeof heldRef>, context: ApplyContext): { readonly released: true } {
  endLease(context, requireHeld(body, context).lease);
  return { released: true };
}

function applyDeregister(
  body: { readonly name: string; readonly leaseId: string },
  context: ApplyContext,
): { readonly deregistered: true } {
  const { hasOwnLease, leaseId } = requireEndpoint(context, body);
  if (hasOwnLease) endLease(context, requireLease(leaseId, context));
  else removeEndpoint(context, body);
  return { deregistered: true };
}

function applyDrop({ leaseIds }: z.infer<typeof dropSchema>, context: ApplyContext): { dropped: number } {
  let dropped = 0;
  for (const leaseId of leaseIds) {
    const claim = findClaim(context, leaseId);
    if (claim === undefined || claim.fencingToken !== null) continue;
    endWaiting(context, claim);
    dropped += 1;
  }
  return { dropped };
}

/** E2 */
function applyExpire(context: ApplyContext): { expired: number } {
  const due = dueLeases(context, EXPIRE_LIMIT);
  for (const { leaseId } of due) {
    const lease = findLease(context, leaseId);
    if (lease !== undefined) endLease(context, lease);
  }
  return { expired: due.length };
}

function requireLease(leaseId: string, context: ApplyContext): Lease {
  const lease = findLease(context, leaseId);
  if (lease === undefined) throw new AspenError('NOT_FOUND', `there is no lease ${leaseId} (any more)`);
  return lease;
}
