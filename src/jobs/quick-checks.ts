import type { AssignItem } from './assign.ts';
import type { PackedAssign } from './assign-body.ts';
import type { SettleItem } from './settlement.ts';
import { isJobId } from './spec-fields.ts';
import type { Assignment } from './wire.ts';

/**
 * The shapes that nearly all commands and messages have, checked by hand: a schema takes several times as long as what it guards. A check
 * here may refuse anything, since what it refuses goes through the schema; what it lets pass must be what the schema would have returned,
 * to the last field.
 */
export type QuickCheck<T> = (body: unknown) => body is T;

/** @returns a `parse` that asks `isPlain` first and the schema otherwise. */
export function quickly<T>(isPlain: QuickCheck<T>, parse: (body: unknown) => T): (body: unknown) => T {
  return (body) => (isPlain(body) ? body : parse(body));
}

type Fields = Readonly<Record<string, unknown>>;

export function isPlainSubmit(body: unknown): body is { jobs: [id: string, spec: unknown][] } {
  return hasFields(body, 1) && isListOf(body['jobs'], 0, isIdAndSpec);
}

function isIdAndSpec(item: unknown): boolean {
  return Array.isArray(item) && item.length === 2 && isJobId(item[0]);
}

export function isPlainSettle(body: unknown): body is { items: SettleItem[] } {
  return hasFields(body, 1) && isListOf(body['items'], 1, isCompletion);
}

function isCompletion(item: Fields): boolean {
  return item['kind'] === 'complete' && isRef(item) && 'result' in item && hasFields(item, 5);
}

export function isPlainAssign(body: unknown): body is { assignments: AssignItem[] } {
  return hasFields(body, 1) && isListOf(body['assignments'], 0, isAssignItem);
}

export function isPlainPackedAssign(body: unknown): body is PackedAssign {
  return (
    hasFields(body, 2) && isListOf(body['places'], 0, isPackedPlace) && isListOf(body['jobs'], 0, isPlacedJob)
  );
}

function isPackedPlace(place: unknown): boolean {
  if (!Array.isArray(place) || place.length !== 3) return false;
  return typeof place[0] === 'string' && typeof place[1] === 'string' && isPool(place[2]);
}

/** Groups are for the schema. */
function isPlacedJob(job: unknown): boolean {
  return Array.isArray(job) && job.length === 2 && typeof job[0] === 'string' && isIndex(job[1]);
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAssignItem(item: Fields): boolean {
  return (
    typeof item['jobId'] === 'string' &&
    typeof item['peerId'] === 'string' &&
    typeof item['sessionId'] === 'string' &&
    isPool(item['pool']) &&
    hasFields(item, 4)
  );
}

export function isPlainAssignMessage(body: unknown): body is { assignments: Assignment[] } {
  return hasFields(body, 1) && isListOf(body['assignments'], 0, isAssignment);
}

function isAssignment(item: Fields): boolean {
  return (
    isRef(item) &&
    (item['jobId'] as string).length > 0 &&
    (item['jobId'] as string).length <= 128 &&
    typeof item['sessionId'] === 'string' &&
    isPool(item['pool']) &&
    typeof item['type'] === 'string' &&
    'payload' in item &&
    isNumberOrNull(item['timeoutMs']) &&
    isNumberOrNull(item['heartbeatTimeoutMs']) &&
    (item['traceparent'] === null || typeof item['traceparent'] === 'string') &&
    Number.isFinite(item['holdMs']) &&
    (hasFields(item, 11) || (isPlainObject(item['rest']) && hasFields(item, 12)))
  );
}

function isRef(item: Fields): boolean {
  return (
    typeof item['jobId'] === 'string' &&
    Number.isSafeInteger(item['attempt']) &&
    (item['attempt'] as number) >= 1 &&
    Number.isFinite(item['fencingToken'])
  );
}

function isPool(pool: unknown): boolean {
  return pool === null || (typeof pool === 'string' && pool.length <= 64);
}

function isNumberOrNull(value: unknown): boolean {
  return value === null || Number.isFinite(value);
}

const ITEMS_LIMIT = 10_000;

function isListOf(value: unknown, least: number, isItem: (item: Fields) => boolean): boolean {
  if (!Array.isArray(value) || value.length < least || value.length > ITEMS_LIMIT) return false;
  for (const item of value) if (typeof item !== 'object' || item === null || !isItem(item)) return false;
  return true;
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** An object with so many fields of its own. */
function hasFields(value: unknown, count: number): value is Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  let found = 0;
  for (const _ in value) found += 1;
  return found === count;
}
