import { AspenError, encode } from '../base/index.ts';
import { deadKeys } from './dead-index.ts';
import type { FinalState } from './finished-counts.ts';
import { afterMove } from './hooks/deliveries.ts';
import type { LiveIndex } from './live-index.ts';
import {
  type ApplyContext,
  type Key,
  keyText,
  type QueryContext,
  type ReadonlyTable,
  textKey,
  VALUE_BYTES_LIMIT,
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
import { type JobSpec, ORDINARY_SPEC } from './spec.ts';
import { checkMove } from './states.ts';

/**
 * Where jobs are kept. Each has a row in `jobs`: its spec, and once it is final its record as well; what changes of an unfinished one is a
 * short row in `live`. Indexes over unfinished jobs are in memory (`live-index.ts`), those over finished ones are tables, most of them with a
 * row for many jobs (`block-rows.ts`). Rows of records, and what follows from them, are written behind (`write-behind.ts`).
 *
 * - J1 All indexes are a function of the records: each move changes record and indexes in one command.
 */
export const TABLES = [
  'jobs',
  'live',
  'blocks',
  'expiryBits',
  'idempotency',
  'limits',
  'buckets',
  'dead',
  'counts',
  'cascades',
  'kindBits',
  'hooks',
] as const;
export type TableName = (typeof TABLES)[number];

type Context = ApplyContext | QueryContext;

export interface IndexKey {
  readonly table: TableName;
  readonly key: Key;
}

/** The row of a final job. */
type DoneRow = readonly [spec: PackedSpec, record: PackedRecord];
/** A spec begins with the type, which is text. */
type JobRow = PackedSpec | DoneRow;

/** @returns every entry of a record's own in the tables that are indexes; the value is always the job's id. */
export function indexKeysOf(record: JobRecord): readonly IndexKey[] {
  const { spec } = record;
  const keys: IndexKey[] = [];
  if (spec.idempotencyKey !== null) keys.push({ table: 'idempotency', key: textKey(spec.idempotencyKey) });
  if (record.state === 'dead') for (const key of deadKeys(record)) keys.push({ table: 'dead', key });
  return keys;
}

export function findRecord(context: Context, id: string): JobRecord | undefined {
  const index = context.derived<LiveIndex>();
  const cached = index.cached(id);
  if (cached !== undefined) return cached;
  const late = index.late.find(id);
  if (late !== undefined) return late.now;
  const key = textKey(id);
  const row = context.table<JobRow>('jobs').get(key);
  if (row === undefined) return undefined;
  if (isDone(row)) return unpackRecord(id, unpackSpec(row[0]), row[1]);
  return unpackRecord(id, unpackSpec(row), context.table<PackedRecord>('live').get(key) as PackedRecord);
}

function isDone(row: JobRow): row is DoneRow {
  return Array.isArray(row[0]);
}

/** J1. @param before the record as it was found; undefined for a new job. */
export function putRecord(context: ApplyContext, moved: JobRecord, before: JobRecord | undefined): void {
  checkMove(moved.id, before?.state ?? null, moved.state);
  const kept = moved.state === 'dead' ? keptWhileDead(context, moved) : moved;
  const spec = before === undefined ? newSpec(context, kept) : undefined;
  const record = spec === undefined ? kept : { ...kept, specBytes: spec.length };
  const isOver = isFinal(record.state);
  const index = context.derived<LiveIndex>();
  if (before === undefined) index.newIds.note(record.id);
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
  const jobs = context.table<PackedSpec>('jobs');
  for (const [key, packed] of rowsOf<PackedRecord>(context, 'live').range({})) {
    const spec = saysOrdinary(packed) ? ORDINARY_SPEC : unpackSpec(jobs.get(key) as PackedSpec);
    yield unpackRecord(keyText(key), spec, packed);
  }
}

/** @returns the spec as it will be stored. The key that names the job is taken at once: the next submit may ask for it. */
function newSpec(context: ApplyContext, { id, spec }: JobRecord): Uint8Array {
  if (spec.idempotencyKey !== null)
    context.table<string>('idempotency').put(textKey(spec.idempotencyKey), id);
  return encodeSpec(context, id, spec);
}

/** @returns the row of an unfinished job. */
export function encodeSpec(context: ApplyContext, id: string, spec: JobSpec): Uint8Array {
  return context.table<PackedSpec>('jobs').encode(textKey(id), packSpec(spec));
}

/** MessagePack of a list of two, before its items. */
const PAIR = 0x92;

/** @returns the row of a final job: both as they are stored alone, in one list. */
export function doneRow(spec: Uint8Array, record: Uint8Array): Uint8Array {
  const row = Buffer.allocUnsafe(1 + spec.length + record.length);
  row[0] = PAIR;
  row.set(spec, 1);
  row.set(record, 1 + spec.length);
  return row;
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
  const row = packed && context.table<PackedRecord>('live').encode(textKey(record.id), packed);
  if (row !== undefined && isFinal(record.state)) checkFits(record.specBytes + row.length + 1);
  const known = late.find(record.id);
  const written = known === undefined ? before : known.written;
  context.compare?.([record.id, packed ?? packRecord(record)]);
  late.set(record.id, { written, now: record, spec: spec ?? known?.spec, row });
  return record.specBytes + (row?.length ?? SMALL_ROW_BYTES);
}

/** @throws AspenError RESOURCE_EXHAUSTED */
function checkFits(bytes: number): void {
  if (bytes <= VALUE_BYTES_LIMIT) return;
  throw new AspenError('RESOURCE_EXHAUSTED', `a job of ${bytes} bytes exceeds ${VALUE_BYTES_LIMIT}`, {
    details: { limit: 'VALUE_BYTES_LIMIT' },
  });
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
