import { encode } from '../base/index.ts';
import { BlockRows } from './block-rows.ts';
import type { LateRow } from './late-rows.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import { packRecord } from './packing.ts';
import { isFinal, type JobRecord } from './record.ts';
import { doneRow, encodeSpec, type IndexKey, indexKeysOf } from './record-store.ts';

/**
 * Writes the rows of all jobs that changed since it was called last.
 *
 * - J8 Afterwards the tables are what they would be had every command written its rows: a function of the records.
 */
export function writeBehind(context: ApplyContext): void {
  const { late } = context.derived<LiveIndex>();
  if (late.size === 0) return;
  const rows = new BlockRows();
  const { writtenThrough } = late;
  for (const [id, row] of late.take(context.position)) {
    writeRow(context, id, row);
    writeEntries(context, id, row);
    rows.move(row.written, row.now);
  }
  rows.write(context, writtenThrough);
}

function writeRow(context: ApplyContext, id: string, { written, now, spec, row }: LateRow): void {
  const key = textKey(id);
  const jobs = context.table('jobs');
  const live = context.table('live');
  const wasLive = isLive(written);
  if (now !== undefined && isFinal(now.state))
    jobs.putEncoded(key, doneRow(spec ?? encodeSpec(context, id, now.spec), row ?? encode(packRecord(now))));
  else if (now !== undefined && !wasLive) jobs.putEncoded(key, spec ?? encodeSpec(context, id, now.spec));
  else if (now === undefined) jobs.delete(key);
  if (isLive(now)) {
    if (row !== undefined) live.putEncoded(key, row);
    else live.put(key, packRecord(now));
  } else if (wasLive) live.delete(key);
}

function isLive(record: JobRecord | undefined): record is JobRecord {
  return record !== undefined && !isFinal(record.state);
}

function writeEntries(context: ApplyContext, id: string, { written, now }: LateRow): void {
  const before = keysOf(written);
  const after = keysOf(now);
  for (const entry of before) if (!isAmong(after, entry)) context.table(entry.table).delete(entry.key);
  if (after.length === 0) return;
  const value = encode(id);
  for (const { table, key } of after)
    if (!isAmong(before, { table, key })) context.table(table).putEncoded(key, value);
}

const NONE: readonly IndexKey[] = [];

/** Keys of idempotency are written at once. */
function keysOf(record: JobRecord | undefined): readonly IndexKey[] {
  return record === undefined ? NONE : indexKeysOf(record).filter(({ table }) => table !== 'idempotency');
}

function isAmong(entries: readonly IndexKey[], { table, key }: IndexKey): boolean {
  return entries.some((entry) => entry.table === table && entry.key === key);
}
