import { encode } from '../base/index.ts';
import { endedKeysOf } from './ended-index.ts';
import type { FinalState } from './finished-counts.ts';
import { type LiveIndex, placeKey } from './live-index.ts';
import {
  type ApplyContext,
  type Key,
  keyText,
  numberKey,
  type QueryContext,
  textKey,
} from './machine-port.ts';
import {
  type PackedRecord,
  type PackedSpec,
  packRecord,
  packSpec,
  unpackRecord,
  unpackSpec,
} from './packing.ts';
import { isFinal, type JobRecord } from './record.ts';
import { checkMove } from './states.ts';

/**
 * Where jobs are kept. A spec is written once; what changes of an unfinished job is a short row in `live`, and moves to `done` when the job
 * is final. Indexes over unfinished jobs are in memory (`live-index.ts`), those over finished ones are tables.
 *
 * - J1 All indexes are a function of the records: each move changes record and indexes in one command.
 */
export const TABLES = [
  'specs',
  'live',
  'done',
  'order',
  'ended',
  'expiring',
  'idempotency',
  'limits',
  'buckets',
  'dead',
  'endedOf',
  'counts',
  'cascades',
] as const;
export type TableName = (typeof TABLES)[number];

type Context = ApplyContext | QueryContext;

export interface IndexKey {
  readonly table: TableName;
  readonly key: Key;
}

/** @returns every entry that a record has in the tables that are indexes; the value is always the job's id. */
export function indexKeysOf(record: JobRecord): readonly IndexKey[] {
  const { id, spec } = record;
  const keys: IndexKey[] = [{ table: 'order', key: placeKey(record) }];
  if (spec.idempotencyKey !== null) keys.push({ table: 'idempotency', key: textKey(spec.idempotencyKey) });
  if (isFinal(record.state)) {
    keys.push({ table: 'ended', key: endedKey(record) });
    keys.push({ table: 'expiring', key: numberKey(record.expiresGroupMs ?? 0) + id });
    keys.push(...endedKeysOf(record));
  }
  return keys;
}

export function findRecord(context: Context, id: string): JobRecord | undefined {
  const index = context.derived<LiveIndex>();
  const cached = index.cached(id);
  if (cached !== undefined) return cached;
  const key = textKey(id);
  const spec = context.table<PackedSpec>('specs').get(key);
  if (spec === undefined) return undefined;
  const packed = context.table<PackedRecord>('live').get(key) ?? context.table<PackedRecord>('done').get(key);
  return unpackRecord(id, unpackSpec(spec), packed as PackedRecord);
}

/** J1. @param before the record as it was found; undefined for a new job. */
export function putRecord(context: ApplyContext, moved: JobRecord, before: JobRecord | undefined): void {
  checkMove(moved.id, before?.state ?? null, moved.state);
  const key = textKey(moved.id);
  const kept = moved.state === 'dead' ? keptWhileDead(context, moved) : moved;
  const record = before === undefined ? { ...kept, specBytes: putNew(context, kept, key) } : kept;
  const isOver = isFinal(record.state);
  const wasOver = before !== undefined && isFinal(before.state);
  const rowBytes = context.table<PackedRecord>(isOver ? 'done' : 'live').put(key, packRecord(record));
  const bytes = record.specBytes + rowBytes;
  if (before !== undefined && isOver !== wasOver) context.table(wasOver ? 'done' : 'live').delete(key);
  if (wasOver) deleteEnded(context, before);
  if (isOver) putEnded(context, record, bytes);
  const index = context.derived<LiveIndex>();
  index.move(before, record);
  index.changedAt = context.position;
  if (isOver) index.drop(record.id);
  else index.keep(record, bytes);
  context.emit({
    type: isOver ? 'final' : 'changed',
    id: record.id,
    state: record.state,
    before: before?.state ?? null,
    position: context.position,
    record,
  });
}

/** Keeps a final record until later. */
export function postpone(context: ApplyContext, record: JobRecord, expiresGroupMs: number): void {
  deleteEnded(context, record);
  const after = { ...record, expiresGroupMs };
  const rowBytes = context.table<PackedRecord>('done').put(textKey(record.id), packRecord(after));
  putEnded(context, after, record.specBytes + rowBytes);
}

export function deleteRecord(context: ApplyContext, record: JobRecord): void {
  const key = textKey(record.id);
  const { idempotencyKey } = record.spec;
  context.table('specs').delete(key);
  context.table(isFinal(record.state) ? 'done' : 'live').delete(key);
  context.table('order').delete(placeKey(record));
  if (idempotencyKey !== null) context.table('idempotency').delete(textKey(idempotencyKey));
  if (isFinal(record.state)) deleteEnded(context, record);
  context.derived<LiveIndex>().move(record, undefined);
  context.derived<LiveIndex>().drop(record.id);
}

/** Every unfinished job, for making indexes anew. */
export function* liveRecords(context: Pick<Context, 'table'>): Generator<JobRecord, void, undefined> {
  const specs = context.table<PackedSpec>('specs');
  for (const [key, packed] of context.table<PackedRecord>('live').range({})) {
    yield unpackRecord(keyText(key), unpackSpec(specs.get(key) as PackedSpec), packed);
  }
}

/** @returns the first key of those that end in `state`; the id is their value. */
export function endedPrefix(state: JobRecord['state']): Key {
  return `${state}/`;
}

function putNew(context: ApplyContext, record: JobRecord, key: Key): number {
  const { id, spec } = record;
  const bytes = context.table<PackedSpec>('specs').put(key, packSpec(spec));
  context.table<string>('order').put(placeKey(record), id);
  if (spec.idempotencyKey !== null)
    context.table<string>('idempotency').put(textKey(spec.idempotencyKey), id);
  return bytes;
}

function putEnded(context: ApplyContext, record: JobRecord, bytes: number): void {
  context.table<string>('ended').put(endedKey(record), record.id);
  context.table<string>('expiring').put(numberKey(record.expiresGroupMs ?? 0) + record.id, record.id);
  for (const { table, key } of endedKeysOf(record)) context.table<string>(table).put(key, record.id);
  countFinal(context, record, 1, bytes); // Q7
}

/** @param bytes as stored; null to find out. */
function countFinal(context: ApplyContext, record: JobRecord, change: 1 | -1, bytes: number | null): void {
  const state = record.state as FinalState;
  const known = state === 'dead' ? 0 : (bytes ?? storedBytes(record));
  context.derived<LiveIndex>().finished.add(record.spec.queue, state, change, known);
}

/** @returns size of a final record and its spec, as stored. */
export function storedBytes(record: JobRecord): number {
  return record.specBytes + encode(packRecord(record)).length;
}

/** @returns the record with an end of its retention that its queue, or the group, asks for dead jobs. */
function keptWhileDead(context: ApplyContext, record: JobRecord): JobRecord {
  const { limits } = context.derived<LiveIndex>();
  const keptMs =
    limits.of('queue', record.spec.queue).deadRetentionMs ?? limits.of('group', '').deadRetentionMs;
  if (keptMs === null) return record;
  return { ...record, expiresGroupMs: Math.max(record.expiresGroupMs ?? 0, context.groupMs + keptMs) };
}

function deleteEnded(context: ApplyContext, record: JobRecord): void {
  context.table<string>('ended').delete(endedKey(record));
  context.table<string>('expiring').delete(numberKey(record.expiresGroupMs ?? 0) + record.id);
  for (const { table, key } of endedKeysOf(record)) context.table<string>(table).delete(key);
  countFinal(context, record, -1, null);
}

function endedKey(record: JobRecord): Key {
  return endedPrefix(record.state) + placeKey(record);
}
