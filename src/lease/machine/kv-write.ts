import { AspenError } from '../../base/index.ts';
import { type Key, keyText, numberKey, textKey } from '../../storage/index.ts';
import { recordChange } from './kv-history.ts';
import {
  createRevisionOf,
  expiryKey,
  isExpired,
  KV_LEASE_KEYS_LIMIT,
  leasedKey,
  type StoredPair,
  tooMuch,
} from './kv-records.ts';
import type { Lease } from './lease-records.ts';
import type { ApplyContext } from './module.ts';

/**
 * How keys change, with all that follows from it.
 *
 * - V2 The index of expiry holds exactly the keys with a time.
 * - V5 The index of leases holds exactly the keys with a lease; the keys of a lease that ends are deleted in the same command.
 */

/** What a key ends with: a time, a lease, both or nothing. */
export interface LifeOfKey {
  readonly ttlMs: number | null;
  readonly leaseId: string | null;
}

export const FOR_EVER: LifeOfKey = { ttlMs: null, leaseId: null };

/** @throws AspenError NOT_FOUND when there is no such lease, RESOURCE_EXHAUSTED when it has too many keys. */
export function writePair(
  context: ApplyContext,
  key: string,
  value: string,
  { ttlMs, leaseId }: LifeOfKey,
): void {
  const storedKey = textKey(key);
  const pairs = context.table<StoredPair>('pairs');
  const stored = pairs.get(storedKey);
  if (stored !== undefined) unindex(context, storedKey, stored);
  const alive = stored === undefined || isExpired(stored, context.groupMs) ? undefined : stored;
  const version = alive === undefined ? 1 : alive.version + 1;
  const expiresAtMs = ttlMs === null ? null : context.groupMs + ttlMs;
  pairs.put(storedKey, {
    value,
    revision: context.position,
    version,
    expiresAtMs,
    ...(alive !== undefined && { createRevision: createRevisionOf(alive) }),
    ...(leaseId !== null && { leaseId }),
  });
  if (expiresAtMs !== null) context.table<1>('expiry').put(expiryKey(expiresAtMs, storedKey), 1); // V2
  if (leaseId !== null) attach(context, leaseId, storedKey);
  recordChange(context, { key, value, version, previous: alive });
}

/** Nothing happens when the key is not stored. Deletes one that has expired, too. */
export function erasePair(context: ApplyContext, storedKey: Key): void {
  const pairs = context.table<StoredPair>('pairs');
  const stored = pairs.get(storedKey);
  if (stored === undefined) return;
  unindex(context, storedKey, stored);
  pairs.delete(storedKey);
  recordChange(context, { key: keyText(storedKey), value: null, version: 0, previous: stored });
}

/** V5: to be called in the very command in which the lease ends. */
export function deleteKeysOfLease(context: ApplyContext, leaseId: string): void {
  const prefix = leasedKey(leaseId, '');
  const held = Array.from(context.table<1>('leased').range({ prefix }), ([key]) => key.slice(prefix.length));
  for (const storedKey of held) erasePair(context, storedKey);
}

/** Keys that one `expire` removes at most. */
const EXPIRE_LIMIT = 1_000;

/** Removes keys whose time has come. @returns how many. */
export function removeExpired(context: ApplyContext): number {
  const due = context
    .table<1>('expiry')
    .range({ from: '', to: numberKey(context.groupMs + 1), limit: EXPIRE_LIMIT });
  const storedKeys = Array.from(due, ([indexKey]) => indexKey.slice(8));
  for (const storedKey of storedKeys) erasePair(context, storedKey);
  return storedKeys.length;
}

function attach(context: ApplyContext, leaseId: string, storedKey: Key): void {
  if (context.read<Lease>('leases', 'leases').get(leaseId) === undefined) {
    throw new AspenError('NOT_FOUND', `there is no lease ${leaseId} (any more)`);
  }
  const counts = context.table<number>('leases');
  const count = counts.get(leaseId) ?? 0;
  if (count >= KV_LEASE_KEYS_LIMIT) {
    const limit = { name: 'KV_LEASE_KEYS_LIMIT', most: KV_LEASE_KEYS_LIMIT };
    throw tooMuch(`${count} keys hang on lease ${leaseId}`, limit);
  }
  counts.put(leaseId, count + 1);
  context.table<1>('leased').put(leasedKey(leaseId, storedKey), 1); // V5
}

function unindex(context: ApplyContext, storedKey: Key, { expiresAtMs, leaseId }: StoredPair): void {
  if (expiresAtMs !== null) context.table<1>('expiry').delete(expiryKey(expiresAtMs, storedKey)); // V2
  if (leaseId === undefined) return;
  context.table<1>('leased').delete(leasedKey(leaseId, storedKey)); // V5
  const counts = context.table<number>('leases');
  const left = (counts.get(leaseId) ?? 0) - 1;
  if (left > 0) counts.put(leaseId, left);
  else counts.delete(leaseId);
}
