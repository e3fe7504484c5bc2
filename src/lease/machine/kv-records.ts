import { AspenError } from '../../base/index.ts';
import { type Key, numberKey, textKey } from '../../storage/index.ts';
import type { ApplyContext, QueryContext, ReadonlyTable } from './module.ts';

/** Longest key, in bytes of UTF-8. */
export const KV_KEY_BYTES_LIMIT = 1_024;
/** Longest value, in bytes of UTF-8. */
export const KV_VALUE_BYTES_LIMIT = 2 ** 20;
/** Keys that may hang on one lease, so that its end stays one command of bounded work. */
export const KV_LEASE_KEYS_LIMIT = 10_000;

/**
 * What a key holds. `revision` is the position of the command that wrote it, `version` counts its writes since it was absent,
 * `createRevision` is the position of the first of them.
 */
export interface KvEntry {
  readonly value: string;
  readonly revision: number;
  readonly version: number;
  readonly createRevision: number;
  /** The lease that it ends with. */
  readonly leaseId?: string;
}

export interface StoredPair {
  readonly value: string;
  readonly revision: number;
  readonly version: number;
  /** Absent while it equals `revision`. */
  readonly createRevision?: number;
  readonly leaseId?: string;
  /** Group time from which it counts as absent; null for ever. */
  readonly expiresAtMs: number | null;
}

export type AnyContext = QueryContext | ApplyContext;

/** `pairs`: what keys hold. `expiry`, `leased`: which keys end with a time, with a lease. `leases`: how many with each. */
export const KV_TABLES = ['pairs', 'expiry', 'leased', 'leases', 'history'] as const;

export function pairsOf(context: AnyContext): ReadonlyTable<StoredPair> {
  return context.table<StoredPair>('pairs');
}

/** @returns what the key holds now; V1: nothing when its time has come. */
export function findPair(context: AnyContext, key: string): StoredPair | undefined {
  const stored = pairsOf(context).get(textKey(key));
  return stored === undefined || isExpired(stored, context.groupMs) ? undefined : stored;
}

/** V1 */
export function isExpired({ expiresAtMs }: Pick<StoredPair, 'expiresAtMs'>, groupMs: number): boolean {
  return expiresAtMs !== null && groupMs >= expiresAtMs;
}

export function createRevisionOf({ createRevision, revision }: StoredPair): number {
  return createRevision ?? revision;
}

export function entryOf(stored: StoredPair): KvEntry {
  const { value, revision, version, leaseId } = stored;
  const entry = { value, revision, version, createRevision: createRevisionOf(stored) };
  return leaseId === undefined ? entry : { ...entry, leaseId };
}

export function expiryKey(expiresAtMs: number, storedKey: Key): Key {
  return numberKey(expiresAtMs) + storedKey;
}

/** Lease ids all have one length, so that none is the beginning of another. */
export function leasedKey(leaseId: string, storedKey: Key): Key {
  return `${leaseId}/${storedKey}`;
}

/** @throws AspenError RESOURCE_EXHAUSTED naming the limit. */
export function tooMuch(fact: string, limit: { readonly name: string; readonly most: number }): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `${fact}, the limit is ${limit.most} (${limit.name})`, {
    details: { limit: limit.name },
  });
}
