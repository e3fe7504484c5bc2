import { AspenError } from '../../base/index.ts';
import { type Fields, invalid, utf8Bytes } from './checks.ts';
import { leaseIdSchema } from './coordination-checks.ts';
import { KV_KEY_BYTES_LIMIT, KV_VALUE_BYTES_LIMIT } from './kv-records.ts';
import type { LifeOfKey } from './kv-write.ts';

/** Checks of what a command of kv is given. `at` is the path of the fields within the body, for the message. */

export function keyField({ key }: Fields, at = ''): string {
  return checkedKey(key, `${at}key`);
}

export function checkedKey(key: unknown, path: string): string {
  if (typeof key !== 'string' || key.length === 0) throw invalid(path, 'expected a string, not empty');
  const bytes = utf8Bytes(key);
  if (bytes <= KV_KEY_BYTES_LIMIT) return key;
  const message = `a key of ${bytes} bytes exceeds the limit of ${KV_KEY_BYTES_LIMIT} (KV_KEY_BYTES_LIMIT)`;
  throw new AspenError('INVALID_PARAMS', `${path}: ${message}`, {
    details: { limit: 'KV_KEY_BYTES_LIMIT', issues: [{ path, message }] },
  });
}

export function valueField(fields: Fields, name: string, at = ''): string {
  const value = fields[name];
  const path = `${at}${name}`;
  if (typeof value !== 'string') throw invalid(path, 'expected a string');
  const bytes = utf8Bytes(value);
  if (bytes <= KV_VALUE_BYTES_LIMIT) return value;
  throw new AspenError(
    'RESOURCE_EXHAUSTED',
    `${path} has ${bytes} bytes, the limit is ${KV_VALUE_BYTES_LIMIT} (KV_VALUE_BYTES_LIMIT)`,
    { details: { limit: 'KV_VALUE_BYTES_LIMIT' } },
  );
}

export function lifeFields({ ttlMs = null, leaseId = null }: Fields, at = ''): LifeOfKey {
  if (
    ttlMs !== null &&
    (!Number.isSafeInteger(ttlMs) || (ttlMs as number) < 1 || (ttlMs as number) > 2 ** 52)
  ) {
    throw invalid(`${at}ttlMs`, 'expected a whole number of milliseconds above 0');
  }
  if (leaseId !== null && !leaseIdSchema.safeParse(leaseId).success) {
    throw invalid(`${at}leaseId`, 'expected a lease id (lse_...)');
  }
  return { ttlMs: ttlMs as number | null, leaseId: leaseId as string | null };
}

export function prefixField({ prefix }: Fields, at = ''): string {
  if (typeof prefix !== 'string') throw invalid(`${at}prefix`, 'expected a string');
  return prefix;
}
