import { z } from 'zod';
import { claimMethods, heldSchema, nameSchema, ttlMsSchema, waitMsSchema } from './coordination-shapes.ts';
import { method, mutating } from './schema.ts';

const lock = claimMethods('lock', 'a lock');
const semaphore = claimMethods('semaphore', 'permits of a semaphore');
const rwlock = claimMethods('rwlock', 'a read-write lock');
const barrier = claimMethods('barrier', 'a place in a barrier');

const permitsSchema = z.number().int().min(1).max(1_048_576);

/** Exclusion by lease. A lock alone protects nothing outside the mesh: pass the fencing token on to what is changed. */
export const lockMethods = {
  'lock.acquire': method({
    params: mutating({ name: nameSchema, ttlMs: ttlMsSchema, waitMs: waitMsSchema }),
    result: heldSchema,
    isMutating: true,
    summary: 'Takes a lock, first come, first served; whoever waits is told the moment it is free.',
  }),
  'lock.renew': lock.renew,
  'lock.release': lock.release,
  'lock.get': lock.get,
  'lock.list': lock.list,
  'semaphore.acquire': method({
    params: mutating({
      name: nameSchema,
      limit: permitsSchema.describe('Permits there are; all who use the name at one time must agree.'),
      permits: permitsSchema.optional().describe('Permits to take. 1 unless told.'),
      ttlMs: ttlMsSchema,
      waitMs: waitMsSchema,
    }),
    result: heldSchema,
    isMutating: true,
    summary: 'Takes permits of a semaphore, first come, first served.',
  }),
  'semaphore.renew': semaphore.renew,
  'semaphore.release': semaphore.release,
  'semaphore.get': semaphore.get,
  'semaphore.list': semaphore.list,
  'rwlock.acquire': method({
    params: mutating({
      name: nameSchema,
      mode: z.enum(['read', 'write']),
      ttlMs: ttlMsSchema,
      waitMs: waitMsSchema,
    }),
    result: heldSchema,
    isMutating: true,
    summary:
      'Takes a lock that many readers share or one writer has; readers who come later wait behind a writer.',
  }),
  'rwlock.renew': rwlock.renew,
  'rwlock.release': rwlock.release,
  'rwlock.get': rwlock.get,
  'rwlock.list': rwlock.list,
  'barrier.enter': method({
    params: mutating({
      name: nameSchema,
      participants: z.number().int().min(1).max(1_000),
      ttlMs: ttlMsSchema,
      waitMs: waitMsSchema,
    }),
    result: heldSchema,
    isMutating: true,
    summary: 'Waits until so many have come; the next round begins when all of this one have left.',
  }),
  'barrier.renew': barrier.renew,
  'barrier.leave': barrier.release,
  'barrier.get': barrier.get,
  'barrier.list': barrier.list,
} as const;
