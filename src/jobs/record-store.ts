import { encode } from '../base/index.ts';
import { endedKeysOf } from './ended-index.ts';
import type { FinalState } from './finished-counts.ts';
import { afterMove } from './hooks/deliveries.ts';
import { type LiveIndex, placeKey } from './live-index.ts';
import {
  type ApplyContext,
  type Key,
  keyText,
  numberKey,
  type QueryContext,
  type ReadonlyTable,
  textKey,
} from './machine-port.ts';
import {
  type PackedRecord,
  type PackedSpec,
  packRecord,
  packSpec,
  saysOrdinary,
  unpackRecord,
  unpackSpec,
} from './packing.ts';
import { type IndexedRecord, isFinal, type JobRecord } from './record.ts';
import { ORDINARY_SPEC } from './spec.ts';
import { checkMove } from './states.ts';

/**
 * Where jobs are kept. A spec is written once; what changes of an unfinished job is a short row in `live`, and moves to `done` when the job
 * is final. Indexes over unfinished jobs are in memory (`live-index.ts`), those over finished ones are tables. Rows of records, and what
 * follows from them, are written behind (`write-behind.ts`).
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
  'kinds',
  'hooks',
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
  const late = index.late.find(id);
  if (late !== undefined) return late.now;
  const key = textKey(id);
  const spec = context.table<PackedSpec>('specs').get(key);
  if (spec === undefined) return undefined;
  const packed = context.table<PackedRecord>('live').get(key) ?? context.table<PackedRecord>('done').get(key);
  return unpackRecord(id, unpackSpec(spec), packed as PackedRecord);
}

/** J1. @param before the record as it was found; undefined for a new job. */
export function putRecord(context: ApplyContext, moved: JobRecord, before: JobRecord | undefined): void {
  checkMove(moved.id, before?.state ?? null, moved.state);
  const kept = moved.state === 'dead' ? keptWhileDead(context, moved) : moved;
  const spec = before === undefined ? newSpec(context, kept) : undefined;
  const record = spec === undefined ? kept : { ...kept, specBytes: spec.length };
  const isOver = isFinal(record.state);
  const index = context.derived<LiveIndex>();
  const bytes = writeLater(context, record, before, spec);
  if (before !== undefined && isFinal(before.state)) countFinal(context, before, -1, null);
  if (isOver) countFinal(context, record, 1, bytes); // Q7
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
  if (index.hooks.size === 0) return;
  for (const delivery of afterMove(context, record, before)) putRecord(context, delivery, undefined); // E1
}

/** Keeps a final record until later. */
export function postpone(context: ApplyContext, record: JobRecord, expiresGroupMs: number): void {
  const after = { ...record, expiresGroupMs };
  countFinal(context, record, -1, null);
  countFinal(context, after, 1, writeLater(context, after, record, undefined));
}

export function deleteRecord(context: ApplyContext, record: JobRecord): void {
  const { id } = record;
  const { idempotencyKey } = record.spec;
  const index = context.derived<LiveIndex>();
  if (idempotencyKey !== null) context.table('idempotency').delete(textKey(idempotencyKey));
  if (isFinal(record.state)) countFinal(context, record, -1, null);
  const late = index.late.find(id);
  const written = late === undefined ? record : late.written;
  context.compare?.([id]);
  if (written === undefined) index.late.drop(id);
  else index.late.set(id, { written, now: undefined, spec: undefined, row: undefined });
  index.move(record, undefined);
  index.drop(id);
}

/** @returns a table of rows that are written behind, up to date: for all who look at more than one record. */
export function rowsOf<V>(context: Pick<Context, 'table' | 'catchUp'>, table: TableName): ReadonlyTable<V> {
  context.catchUp();
  return context.table<V>(table);
}

/** Every unfinished job, as far as indexes see it, for making them anew. */
export function* liveRecords(
  context: Pick<Context, 'table' | 'catchUp'>,
): Generator<IndexedRecord, void, undefined> {
  const specs = context.table<PackedSpec>('specs');
  for (const [key, packed] of rowsOf<PackedRecord>(context, 'live').range({})) {
    const spec = saysOrdinary(packed) ? ORDINARY_SPEC : unpackSpec(specs.get(key) as PackedSpec);
    yield unpackRecord(keyText(key), spec, packed);
  }
}

/** @returns the first key of those that end in `state`; the id is their value. */
export function endedPrefix(state: JobRecord['state']): Key {
  return `${state}/`;
}

/** @returns the spec as it will be stored. The key that names the job is taken at once: the next submit may ask for it. */
function newSpec(context: ApplyContext, { id, spec }: JobRecord): Uint8Array {
  if (spec.idempotencyKey !== null)
    context.table<string>('idempotency').put(textKey(spec.idempotencyKey), id);
  return context.table<PackedSpec>('specs').encode(textKey(id), packSpec(spec));
}

/** About what a row takes that nothing was told of yet. Unit: bytes. */
const SMALL_ROW_BYTES = 128;

/** @returns the size of record and spec: exact for a final one, about it where no one needs to know. Unit: bytes. */
function writeLater(
  context: ApplyContext,
  record: JobRecord,
  before: JobRecord | undefined,
  spec: Uint8Array | undefined,
): number {
  const { late } = context.derived<LiveIndex>();
  const packed = isSmall(record) ? undefined : packRecord(record);
  const row = packed && context.table<PackedRecord>(tableOf(record)).encode(textKey(record.id), packed);
  const known = late.find(record.id);
  const written = known === undefined ? before : known.written;
  context.compare?.([record.id, packed ?? packRecord(record)]);
  late.set(record.id, { written, now: record, spec: spec ?? known?.spec, row });
  return record.specBytes + (row?.length ?? SMALL_ROW_BYTES);
}

/** An unfinished record that nobody has told anything of is a few numbers, and needs no look at its size. */
function isSmall({ state, history, result, error, cancelReason, ending, unmet }: JobRecord): boolean {
  const isUntold = history.length === 0 && result === null && error === null;
  return !isFinal(state) && isUntold && cancelReason === null && ending === null && unmet.length === 0;
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

/** @returns the table that holds the row of a record. */
export function tableOf({ state }: JobRecord): 'live' | 'done' {
  return isFinal(state) ? 'done' : 'live';
}

function endedKey(record: JobRecord): Key {
  return endedPrefix(record.state) + placeKey(record);
}
