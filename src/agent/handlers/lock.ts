import type { Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { claimHandlers } from './claims.ts';

type LockHandlers = Pick<
  Handlers,
  | `${'lock' | 'semaphore' | 'rwlock'}.${'acquire' | 'renew' | 'release' | 'get' | 'list'}`
  | `barrier.${'enter' | 'renew' | 'leave' | 'get' | 'list'}`
>;

/** Units of a read-write lock: a reader takes one, a writer all. */
const RWLOCK_UNITS = 2 ** 20;

/** Locks and what is like them, as the socket offers them. */
export function lockHandlers(daemon: Daemon): LockHandlers {
  const lock = claimHandlers(daemon, 'lock');
  const semaphore = claimHandlers(daemon, 'semaphore');
  const rwlock = claimHandlers(daemon, 'rwlock', { capacity: RWLOCK_UNITS });
  const barrier = claimHandlers(daemon, 'barrier');
  return {
    'lock.acquire': lock.claim,
    'lock.renew': lock.renew,
    'lock.release': lock.release,
    'lock.get': lock.get,
    'lock.list': lock.list,
    'semaphore.acquire': ({ limit, permits = 1, ...rest }, connection) =>
      semaphore.claim({ ...rest, capacity: limit, units: permits }, connection),
    'semaphore.renew': semaphore.renew,
    'semaphore.release': semaphore.release,
    'semaphore.get': semaphore.get,
    'semaphore.list': semaphore.list,
    'rwlock.acquire': ({ mode, ...rest }, connection) =>
      rwlock.claim({ ...rest, units: mode === 'read' ? 1 : RWLOCK_UNITS }, connection),
    'rwlock.renew': rwlock.renew,
    'rwlock.release': rwlock.release,
    'rwlock.get': rwlock.get,
    'rwlock.list': rwlock.list,
    'barrier.enter': ({ participants, ...rest }, connection) =>
      barrier.claim({ ...rest, capacity: participants }, connection),
    'barrier.renew': barrier.renew,
    'barrier.leave': barrier.release,
    'barrier.get': barrier.get,
    'barrier.list': barrier.list,
  };
}
