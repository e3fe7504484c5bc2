import { z } from 'zod';
import { leaseIdSchema, ttlMsSchema } from './coordination-shapes.ts';
import { cursorSchema, exactObject, method, mutating, pageLimitSchema } from './schema.ts';

const leaseSchema = z.object({
  leaseId: leaseIdSchema,
  ttlMs: ttlMsSchema,
  remainingMs: z.number().describe('Until it may end unless it is kept alive.'),
  owner: z.string().describe('Peer id of the node through which it was asked for.'),
});
const prolongedSchema = z.object({ leaseId: leaseIdSchema, ttlMs: ttlMsSchema, validMs: z.number() });

export const leaseMethods = {
  'lease.grant': method({
    params: mutating({ ttlMs: ttlMsSchema }),
    result: prolongedSchema,
    isMutating: true,
    summary: 'Begins a lease: what is attached to it ends with it.',
  }),
  'lease.keepAlive': method({
    params: mutating({ leaseId: leaseIdSchema }),
    result: prolongedSchema,
    isMutating: true,
    summary: 'Prolongs a lease, also one of a lock or a service, by its whole time from now.',
  }),
  'lease.revoke': method({
    params: mutating({ leaseId: leaseIdSchema }),
    result: z.object({ revoked: z.literal(true) }),
    isMutating: true,
    summary: 'Ends a lease, and all that is attached to it, at once.',
  }),
  'lease.get': method({
    params: exactObject({ leaseId: leaseIdSchema }),
    result: leaseSchema,
    isMutating: false,
    summary: 'One lease.',
  }),
  'lease.list': method({
    params: exactObject({ limit: pageLimitSchema.optional(), cursor: cursorSchema.optional() }),
    result: z.object({ leases: z.array(leaseSchema), cursor: cursorSchema.optional() }),
    isMutating: false,
    summary: 'Leases, oldest first.',
  }),
} as const;
