import { type ApplyContext, type Key, numberKey, type QueryContext, textKey } from './machine-port.ts';
import { isFinal, type JobRecord } from './record.ts';
import { checkMove } from './states.ts';

/**
 * - J1 The indexes are a function of the records: each move writes the record and the difference of its index keys in one command.
 */
export const RECORDS = 'records';

/** Index tables; the value is always the job's id. */
export const INDEXES = ['order', 'byState', 'ready', 'due', 'running', 'expiring', 'idempotency'] as const;
export type IndexName = (typeof INDEXES)[number];

export interface IndexKey {
  readonly table: IndexName;
  readonly key: Key;
}

/** @returns every index entry that a record has. */
export function indexKeysOf(record: JobRecord): readonly IndexKey[] {
  const { id, spec, state } = record;
  const place = placeKey(record);
  const keys: IndexKey[] = [
    { table: 'order', key: place },
    { table: 'byState', key: `${state}/${place}` },
  ];
  if (state === 'queued') keys.push({ table: 'ready', key: readyKey(record) });
  if (state === 'scheduled')
    keys.push({ table: 'due', key: numberKey(record.dueGroupMs ?? 0) + textKey(id) });
  if (record.running !== null) keys.push({ table: 'running', key: textKey(id) });
  if (isFinal(state))
    keys.push({ table: 'expiring', key: numberKey(record.expiresGroupMs ?? 0) + textKey(id) });
  if (spec.idempotencyKey !== null) keys.push({ table: 'idempotency', key: textKey(spec.idempotencyKey) });
  return keys;
}

/** Higher priority first, then the order of submission. */
export function readyKey(record: Pick<JobRecord, 'spec' | 'position' | 'offset'>): Key {
  return String.fromCharCode(10 - record.spec.priority) + placeKey(record);
}

/** Unique to a job, in the order of submission. */
export function placeKey({ position, offset }: Pick<JobRecord, 'position' | 'offset'>): Key {
  return numberKey(position) + numberKey(offset);
}

export function findRecord(context: ApplyContext | QueryContext, id: string): JobRecord | undefined {
  return context.table<JobRecord>(RECORDS).get(textKey(id));
}

/** J1: writes a record and whatever its indexes differ from those of the record before it. */
export function putRecord(context: ApplyContext, record: JobRecord, before: JobRecord | undefined): void {
  checkMove(record.id, before?.state ?? null, record.state);
  context.table<JobRecord>(RECORDS).put(textKey(record.id), record);
  const stale = new Map(
    (before === undefined ? [] : indexKeysOf(before)).map((entry) => [entryName(entry), entry]),
  );
  for (const entry of indexKeysOf(record)) {
    if (!stale.delete(entryName(entry))) context.table<string>(entry.table).put(entry.key, record.id);
  }
  for (const { table, key } of stale.values()) context.table<string>(table).delete(key);
  context.emit({
    type: isFinal(record.state) ? 'final' : 'changed',
    id: record.id,
    state: record.state,
    before: before?.state ?? null,
    record,
  });
}

export function deleteRecord(context: ApplyContext, record: JobRecord): void {
  context.table<JobRecord>(RECORDS).delete(textKey(record.id));
  for (const { table, key } of indexKeysOf(record)) context.table<string>(table).delete(key);
}

/** @returns ids in index order whose keys begin below `end`. */
export function idsBelow(
  context: ApplyContext | QueryContext,
  table: IndexName,
  end: Key,
  limit: number,
): string[] {
  return Array.from(context.table<string>(table).range({ from: '', to: end, limit }), ([, id]) => id);
}

function entryName({ table, key }: IndexKey): string {
  return `${table} ${key}`;
}
