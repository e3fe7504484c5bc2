import { z } from 'zod';
import { leaseIdSchema, listParams, nameSchema, ttlMsSchema } from './coordination-shapes.ts';
import { cursorSchema, exactObject, labelsSchema, method, mutating } from './schema.ts';

const endpointSchema = z.object({
  leaseId: leaseIdSchema,
  address: z.string(),
  labels: z.record(z.string(), z.string()),
  owner: z.string().describe('Peer id of the node through which it was registered.'),
});
const endpointsSchema = z.array(endpointSchema);

export const serviceMethods = {
  'service.register': method({
    params: mutating({
      name: nameSchema,
      address: z.string().min(1).max(1_024).describe('Where it can be had, as its clients understand it.'),
      labels: labelsSchema.optional(),
      ttlMs: ttlMsSchema.optional().describe('Begins a lease of its own; lease.keepAlive prolongs it.'),
      leaseId: leaseIdSchema.optional().describe('Instead of ttlMs: a lease that is there already.'),
    }).refine(
      ({ ttlMs, leaseId }) => (ttlMs === undefined) !== (leaseId === undefined),
      'give either ttlMs or leaseId',
    ),
    result: z.object({ leaseId: leaseIdSchema, ttlMs: ttlMsSchema, validMs: z.number().optional() }),
    isMutating: true,
    summary: 'Lists an endpoint of a service as long as its lease lives; the same lease again changes it.',
  }),
  'service.deregister': method({
    params: mutating({ name: nameSchema, leaseId: leaseIdSchema }),
    result: z.object({ deregistered: z.literal(true) }),
    isMutating: true,
    summary:
      'Takes an endpoint off the list, and ends the lease that was begun for it; FENCED when it is off already.',
  }),
  'service.get': method({
    params: exactObject({ name: nameSchema, labels: labelsSchema.optional() }),
    result: z.object({ name: z.string(), endpoints: endpointsSchema, revision: z.number().nullable() }),
    isMutating: false,
    summary: 'Where a service can be had: the endpoints that carry all of these labels.',
  }),
  'service.list': method({
    params: exactObject(listParams),
    result: z.object({
      items: z.array(z.object({ name: z.string(), endpointCount: z.number().int(), revision: z.number() })),
      cursor: cursorSchema.optional(),
    }),
    isMutating: false,
    summary: 'Services that can be had.',
  }),
  'service.watch': method({
    params: exactObject({ name: nameSchema }),
    result: z.object({ subscription: z.string() }),
    isMutating: false,
    summary:
      'Subscribes to a service: a notification service.changed now and after each change, service.watchEnd at the end.',
  }),
  'service.watchStop': method({
    params: exactObject({ subscription: z.string().max(128) }),
    result: z.object({ stopped: z.boolean() }),
    isMutating: false,
    summary: 'Ends a subscription of service.watch.',
  }),
} as const;

/** Notifications of the agent to whoever called `service.watch`. */
export const serviceNotifications = {
  'service.changed': z.object({
    subscription: z.string(),
    name: z.string(),
    endpoints: endpointsSchema,
    revision: z.number().nullable(),
  }),
  'service.watchEnd': z.object({
    subscription: z.string(),
    reason: z.string().optional().describe('Why it ended; absent when it was asked to.'),
  }),
} as const;
