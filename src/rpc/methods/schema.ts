import { z } from 'zod';
import { nearestName } from '../nearest-name.ts';

/** Between the messages of several unknown keys in one issue of zod, which reports them together. */
export const UNKNOWN_KEY_SEPARATOR = '\n';

/** Labels on one node or job. */
export const LABEL_LIMIT = 64;

export interface ExactObjectOptions {
  /** Keys of the contract that this version has not learned yet: refused with a message that says so. */
  readonly later?: readonly string[];
}

/** An object that takes these keys and no other. An unknown key is refused by name, with the nearest known key. */
export function exactObject<S extends z.core.$ZodLooseShape>(
  shape: S,
  { later = [] }: ExactObjectOptions = {},
): z.ZodObject<S, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? (issue.keys as string[])
            .map((key) => describeUnknownKey(key, { known, later }))
            .join(UNKNOWN_KEY_SEPARATOR)
        : undefined,
  });
}

function describeUnknownKey(
  key: string,
  { known, later }: { known: readonly string[]; later: readonly string[] },
): string {
  if (later.includes(key)) return `key "${key}" is not supported yet by this version`;
  const nearest = nearestName(key, known);
  return `unknown key "${key}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`;
}

/** A string unique to the client: the same id has its effect once. */
export const requestIdSchema = z
  .string()
  .min(1)
  .max(128)
  .describe('A string unique to the client; a mutating request with the same id has its effect once.');

/** Params of a mutating method: what it takes, and `requestId`. */
export function mutating<S extends z.core.$ZodLooseShape>(shape: S, options: ExactObjectOptions = {}) {
  return exactObject({ ...shape, requestId: requestIdSchema.optional() }, options);
}

export const durationMsSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const wallMsSchema = z.number().describe('Milliseconds since 1970-01-01T00:00Z.');

/** An instant that a person or a program plans: ISO 8601 with a zone, or ms since 1970. */
export const instantSchema = z.union([
  z.number().int().min(0),
  z
    .string()
    .refine(isInstant, 'must be ISO 8601 with a zone, such as 2026-12-01T02:00Z, or milliseconds since 1970')
    .refine(isOnCalendar, 'is a day that its month does not have'),
]);

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

function isInstant(text: string): boolean {
  return INSTANT.test(text) && !Number.isNaN(Date.parse(text));
}

/** `Date.parse` takes 30 February for 2 March, which nobody meant. */
function isOnCalendar(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split('-').map(Number);
  return day === undefined || new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day)).getUTCDate() === day;
}

export const labelsSchema = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine((labels) => Object.keys(labels).length <= LABEL_LIMIT, `at most ${LABEL_LIMIT} labels`);

export const cursorSchema = z.string().max(4_096);
export const pageLimitSchema = z.number().int().min(1).max(10_000);
export const peerIdSchema = z.string().min(1).max(128);
export const roleSchema = z.enum(['voter', 'worker', 'submitter', 'observer']);

/** What one row of the method table says. */
export interface MethodSpec<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly params: P;
  readonly result: R;
  /** Errors of a mutating method carry `data.outcome`; it takes `requestId`. */
  readonly isMutating: boolean;
  readonly summary: string;
}

export function method<P extends z.ZodType, R extends z.ZodType>(spec: MethodSpec<P, R>): MethodSpec<P, R> {
  return spec;
}
