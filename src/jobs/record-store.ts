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
export function putRecord(context: ApplyContext, record: JobRecord, before: JobRecord | undefined): void {
  checkMove(record.id, before?.state ?? null, record.state);
  const key = textKey(record.id);
  let bytes = before === undefined ? putNew(context, record, key) : 0;
  const isOver = isFinal(record.state);
  const wasOver = before !== undefined && isFinal(before.state);
  bytes += context.table<PackedRecord>(isOver ? 'done' : 'live').put(key, packRecord(record));
  if (before !== undefined && isOver !== wasOver) context.table(wasOver ? 'done' : 'live').delete(key);
  if (wasOver) deleteEnded(context, before);
  if (isOver) putEnded(context, record);
  const index = context.derived<LiveIndex>();
  index.move(before, record);
  if (isOver) index.drop(record.id);
  else index.keep(record, bytes);
  context.emit({
    type: isOver ? 'final' : 'changed',
    id: record.id,
    state: record.state,
    before: before?.state ?? null,
    record,
  });
}

/** Keeps a final record until later. */
export function postpone(context: ApplyContext, record: JobRecord, expiresGroupMs: number): void {
  deleteEnded(context, record);
  const after = { ...record, expiresGroupMs };
  context.table<PackedRecord>('done').put(textKey(record.id), packRecord(after));
  putEnded(context, after);
}

export function deleteRecord(context: ApplyContext, record: JobRecord): void {
  const key = textKey(record.id);
  context.table('specs').delete(key);
  context.table(isFinal(record.state) ? 'done' : 'live').delete(key);
  for (const { table, key: indexKey } of indexKeysOf(record)) context.table(table).delete(indexKey);
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

function putEnded(context: ApplyContext, record: JobRecord): void {
  context.table<string>('ended').put(endedKey(record), record.id);
  context.table<string>('expiring').put(numberKey(record.expiresGroupMs ?? 0) + record.id, record.id);
}

function deleteEnded(context: ApplyContext, record: JobRecord): void {
  context.table<string>('ended').delete(endedKey(record));
  context.table<string>('expiring').delete(numberKey(record.expiresGroupMs ?? 0) + record.id);
}

function endedKey(record: JobRecord): Key {
  return endedPrefix(record.state) + placeKey(record);
}
