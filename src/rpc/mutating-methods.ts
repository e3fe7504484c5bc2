import type { MethodName } from './methods/table.ts';

/**
 * Names of the methods that change something, for clients that must not load the schemas: zod and the table cost a client
 * 45 of 110 ms. A test keeps this list equal to the table.
 */
export const MUTATING_METHODS: ReadonlySet<MethodName> = new Set<MethodName>([
  'agent.stop',
  'mesh.ticket',
  'mesh.ticketRevoke',
  'mesh.join',
  'mesh.leave',
  'job.submit',
  'job.submitMany',
  'job.cancel',
  'kv.put',
  'kv.delete',
  'kv.cas',
  'lease.grant',
  'lease.keepAlive',
  'lease.revoke',
  'lock.acquire',
  'lock.renew',
  'lock.release',
  'semaphore.acquire',
  'semaphore.renew',
  'semaphore.release',
  'rwlock.acquire',
  'rwlock.renew',
  'rwlock.release',
  'barrier.enter',
  'barrier.renew',
  'barrier.leave',
  'election.campaign',
  'election.renew',
  'election.proclaim',
  'election.resign',
  'node.label',
  'node.revoke',
]);
