import { encode } from '../base/index.ts';
import { KindCounts } from './kind-index.ts';
import type { LateRow } from './late-rows.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import { packRecord } from './packing.ts';
import type { JobRecord } from './record.ts';
import { type IndexKey, indexKeysOf, tableOf } from './record-store.ts';

/**
 * Writes the rows of all jobs that changed since it was called last.
 *
 * - J8 Afterwards the tables are what they would be had every command written its rows: a function of the records.
 */
export function writeBehind(context: ApplyContext): void {
  const { late } = context.derived<LiveIndex>();
  if (late.size === 0) return;
  const kinds = new KindCounts();
  for (const [id, row] of late.take()) {
    writeRow(context, id, row);
    writeIndexes(context, id, row);
    kinds.move(row.written, row.now);
  }
  kinds.write(context);
}

function writeRow(context: ApplyContext, id: string, { written, now, spec, row }: LateRow): void {
  const key = textKey(id);
  if (now === undefined) context.table('specs').delete(key);
  else {
    const table = context.table(tableOf(now));
    if (spec !== undefined) context.table('specs').putEncoded(key, spec);
    if (row !== undefined) table.putEncoded(key, row);
    else table.put(key, packRecord(now));
  }
  if (written !== undefined && (now === undefined || tableOf(written) !== tableOf(now)))
    context.table(tableOf(written)).delete(key);
}

function writeIndexes(context: ApplyContext, id: string, { written, now }: LateRow): void {
  const before = keysOf(written);
  const after = keysOf(now);
  for (const entry of before) if (!isAmong(after, entry)) context.table(entry.table).delete(entry.key);
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
