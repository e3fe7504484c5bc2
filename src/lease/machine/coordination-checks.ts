import { z } from 'zod';
import { utf8Bytes } from './checks.ts';

/** Longest name of a lock, an election, a service, ... in bytes of UTF-8. */
export const NAME_BYTES_LIMIT = 1_024;
/** Longest value that a leader proclaims, in bytes of UTF-8. */
export const PROCLAIMED_BYTES_LIMIT = 4 * 1_024;
/** Shortest and longest life of a lease. Unit: ms. */
export const LEASE_TTL_LEAST_MS = 100;
export const LEASE_TTL_MOST_MS = 7 * 24 * 3_600_000;

/** @returns a check for text of at most `mostBytes`. */
export function boundedText(mostBytes: number, { leastBytes = 0 } = {}): z.ZodType<string> {
  return z.string().superRefine((text, { addIssue }) => {
    const bytes = utf8Bytes(text);
    if (bytes < leastBytes) addIssue('expected a string, not empty');
    else if (bytes > mostBytes) addIssue(`${bytes} bytes exceed the limit of ${mostBytes}`);
  });
}

export const nameSchema = boundedText(NAME_BYTES_LIMIT, { leastBytes: 1 });
export const leaseIdSchema = z.string().regex(/^lse_[0-9a-z]{26}$/, 'expected a lease id (lse_...)');
export const ttlSchema = z.number().int().min(LEASE_TTL_LEAST_MS).max(LEASE_TTL_MOST_MS);
/** The node that speaks for whoever asked. */
export const ownerSchema = z.string().min(1).max(128);
