import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { type Key, keyText, numberKey, textKey } from '../../storage/index.ts';
import { parseWith, utf8Bytes } from './checks.ts';
import { boundedText, leaseIdSchema, nameSchema, ownerSchema, ttlSchema } from './coordination-checks.ts';
import { beginLease } from './lease-life.ts';
import { countDown, countUp, exhausted, findClaim, findLease, LEASES_LIMIT } from './lease-records.ts';
import type { ApplyContext, QueryContext } from './module.ts';

/** Endpoints of all services together, and of one. */
export const ENDPOINTS_LIMIT = 100_000;
export const ENDPOINTS_PER_SERVICE_LIMIT = 500;
/** Services that one lease may offer, all of which end with it. */
export const ENDPOINTS_PER_LEASE_LIMIT = 100;
/** Names and values of all labels of one endpoint together, in bytes of UTF-8. */
const LABELS_BYTES_LIMIT = 2_048;
export const SERVICE_PAGE_LIMIT = 1_000;

/** Where a service can be had, as long as its lease lives. */
export interface Endpoint {
  readonly leaseId: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
  /** Whether the lease was begun for this endpoint, and ends with it. */
  readonly hasOwnLease: boolean;
}

interface Service {
  readonly id: number;
  readonly count: number;
  /** Position of the last change of its endpoints. */
  readonly revision: number;
}

export interface ServiceView {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly revision: number;
}

const labelsSchema = z
  .record(z.string().min(1), z.string())
  .refine(
    (labels) =>
      Object.entries(labels).reduce((sum, [key, value]) => sum + utf8Bytes(key) + utf8Bytes(value), 0) <=
      LABELS_BYTES_LIMIT,
    `labels exceed ${LABELS_BYTES_LIMIT} bytes`,
  );
const ref = z.object({ name: nameSchema, leaseId: leaseIdSchema });
const registerSchema = ref.extend({
  address: boundedText(1_024, { leastBytes: 1 }),
  labels: labelsSchema,
  /** Null: the lease is there already. */
  ttlMs: ttlSchema.nullable(),
  owner: ownerSchema,
});
const listSchema = z.object({
  prefix: z.string().max(1_024).default(''),
  limit: z.number().int().min(1).max(SERVICE_PAGE_LIMIT).default(100),
  cursor: z.string().max(4_096).optional(),
});

/**
 * Services and where they can be had.
 *
 * - J1 An endpoint is listed exactly while its lease lives.
 * - J2 A service without endpoints is gone; each change of its endpoints changes its revision.
 */
export const serviceCommands = {
  register: { since: 1, parse: parseWith(registerSchema), apply: applyRegister },
};

export const parseEndpointRef = parseWith(ref);

export const serviceQueries = {
  service: {
    parse: parseWith(z.object({ name: nameSchema })),
    run: ({ name }: { readonly name: string }, context: QueryContext) => viewService(context, name),
  },
  services: { parse: parseWith(listSchema), run: listServices },
};

/** @returns null when nobody offers it. */
export function viewService(context: QueryContext, name: string): ServiceView | null {
  const service = findService(context, name);
  if (service === undefined) return null;
  const found = context.table<Endpoint>('endpoints').range({ prefix: numberKey(service.id) });
  return { name, endpoints: Array.from(found, ([, endpoint]) => endpoint), revision: service.revision };
}

/** J1: those of one lease. */
export function removeEndpointsOf(context: ApplyContext, leaseId: string): void {
  const names = [...context.table<1>('endpoints-of').range({ prefix: leaseId })];
  for (const [key] of names) removeEndpoint(context, { leaseId, name: keyText(key.slice(leaseId.length)) });
}

/** @returns the endpoint as it was. @throws AspenError FENCED when it is not registered (any more). */
export function requireEndpoint(
  context: ApplyContext,
  { name, leaseId }: { readonly name: string; readonly leaseId: string },
): Endpoint {
  const service = findService(context, name);
  const endpoint = service && context.table<Endpoint>('endpoints').get(endpointKey(service, leaseId));
  if (endpoint !== undefined) return endpoint;
  throw new AspenError('FENCED', `service "${name}" has no endpoint of ${leaseId} (any more)`);
}

export function removeEndpoint(
  context: ApplyContext,
  { name, leaseId }: { readonly name: string; readonly leaseId: string },
): void {
  const service = findService(context, name) as Service;
  context.table<Endpoint>('endpoints').delete(endpointKey(service, leaseId));
  context.table<1>('endpoints-of').delete(leaseId + textKey(name));
  countDown(context, 'endpoints');
  const left = { ...service, count: service.count - 1, revision: context.position };
  if (left.count === 0)
    context.table<Service>('services').delete(textKey(name)); // J2
  else context.table<Service>('services').put(textKey(name), left);
  context.emit({ type: 'changed', kind: 'service', name });
}

function applyRegister(
  body: z.infer<typeof registerSchema>,
  context: ApplyContext,
): { readonly leaseId: string; readonly ttlMs: number } {
  const { name, leaseId, address, labels, owner } = body;
  const lease = leaseFor(body, context);
  const service = findService(context, name) ?? { id: context.position, count: 0, revision: 0 };
  const key = endpointKey(service, leaseId);
  const before = context.table<Endpoint>('endpoints').get(key);
  if (before === undefined) requireRoom(context, body, service);
  const hasOwnLease = before?.hasOwnLease ?? body.ttlMs !== null;
  context.table<Endpoint>('endpoints').put(key, { leaseId, address, labels, owner, hasOwnLease });
  context.table<1>('endpoints-of').put(leaseId + textKey(name), 1);
  const count = service.count + (before === undefined ? 1 : 0);
  context.table<Service>('services').put(textKey(name), { ...service, count, revision: context.position });
  context.emit({ type: 'changed', kind: 'service', name });
  return { leaseId, ttlMs: lease.ttlMs };
}

function leaseFor({ leaseId, ttlMs, owner }: z.infer<typeof registerSchema>, context: ApplyContext) {
  const lease = findLease(context, leaseId);
  if (ttlMs === null) {
    if (lease !== undefined) return lease;
    throw new AspenError('NOT_FOUND', `there is no lease ${leaseId} (any more)`);
  }
  if (lease !== undefined || findClaim(context, leaseId) !== undefined) {
    throw new AspenError('CONFLICT', `lease id ${leaseId} is in use`);
  }
  countUp(context, 'leases', { name: 'LEASES_LIMIT', most: LEASES_LIMIT });
  return beginLease(context, { leaseId, ttlMs, owner }, ttlMs);
}

function requireRoom(
  context: ApplyContext,
  { name, leaseId }: { readonly name: string; readonly leaseId: string },
  { count }: Service,
): void {
  if (count >= ENDPOINTS_PER_SERVICE_LIMIT) {
    const limit = { name: 'ENDPOINTS_PER_SERVICE_LIMIT', most: ENDPOINTS_PER_SERVICE_LIMIT };
    throw exhausted(`service "${name}" has ${count} endpoints`, limit);
  }
  const ofLease = [...context.table<1>('endpoints-of').range({ prefix: leaseId })].length;
  if (ofLease >= ENDPOINTS_PER_LEASE_LIMIT) {
    const limit = { name: 'ENDPOINTS_PER_LEASE_LIMIT', most: ENDPOINTS_PER_LEASE_LIMIT };
    throw exhausted(`lease ${leaseId} has ${ofLease} endpoints`, limit);
  }
  countUp(context, 'endpoints', { name: 'ENDPOINTS_LIMIT', most: ENDPOINTS_LIMIT });
}

function findService(context: ApplyContext | QueryContext, name: string): Service | undefined {
  return context.table<Service>('services').get(textKey(name));
}

function endpointKey({ id }: Service, leaseId: string): Key {
  return numberKey(id) + leaseId;
}

function listServices({ prefix, limit, cursor }: z.infer<typeof listSchema>, context: QueryContext) {
  const start = textKey(prefix);
  const from = cursor === undefined ? start : `${textKey(cursor)}\u0000`;
  const items: { readonly name: string; readonly endpointCount: number; readonly revision: number }[] = [];
  for (const [key, { count, revision }] of context
    .table<Service>('services')
    .range({ from, limit: limit + 1 })) {
    if (!key.startsWith(start)) break;
    if (items.length === limit) return { items, cursor: items.at(-1)?.name };
    items.push({ name: keyText(key), endpointCount: count, revision });
  }
  return { items };
}
