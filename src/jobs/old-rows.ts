import { encode, type Logger } from '../base/index.ts';
import { type Key, type Store, WriteBuffer } from '../storage/index.ts';
import { BlockRows } from './block-rows.ts';
import { keyText, tablesOf } from './machine-port.ts';
import { type PackedRecord, type PackedSpec, unpackRecord, unpackSpec } from './packing.ts';
import { isFinal } from './record.ts';
import { doneRow } from './record-store.ts';

/** Of one batch. */
const JOBS_EACH = 500;
const KEYS_EACH = 5_000;
const PROGRESS_JOBS = 100_000;
/** Tables that the new layout does without. */
const OLD_TABLES = ['done', 'order', 'ended', 'expiring', 'endedOf', 'kinds'] as const;

type Tables = ReturnType<typeof tablesOf>;

/**
 * Takes the rows of jobs from the layout in which a finished job had a row in each of five tables to that in which it has one, and shares
 * those of the indexes with others of its block. Each batch is atomic, so that it may be begun again after a crash at any moment.
 * @param space where the tables of a machine lie. @returns how many jobs were moved. @throws what the store throws.
 */
export async function renewJobRows(
  store: Store,
  { space, log }: { readonly space: Key; readonly log: Logger },
): Promise<number> {
  const buffer = new WriteBuffer(store);
  const tables = tablesOf(buffer, space, 'jobs');
  let count = 0;
  for (let moved = moveSome(tables); moved > 0; moved = moveSome(tables)) {
    await buffer.flush();
    if (Math.floor((count + moved) / PROGRESS_JOBS) > Math.floor(count / PROGRESS_JOBS))
      log.info({ jobs: count + moved }, 'moves the rows of jobs');
    count += moved;
  }
  for (const name of OLD_TABLES) {
    while (removeSome(tables, name) > 0) await buffer.flush();
  }
  return count;
}

function moveSome(tables: Tables): number {
  const specs = tables<PackedSpec>('specs');
  const some = Array.from(specs.range({ limit: JOBS_EACH }));
  const rows = new BlockRows();
  for (const [key, spec] of some) {
    const packed = tables<PackedRecord>('live').get(key) ?? tables<PackedRecord>('done').get(key);
    const record = packed && unpackRecord(keyText(key), unpackSpec(spec), packed);
    if (record !== undefined && isFinal(record.state))
      tables('jobs').putEncoded(key, doneRow(encode(spec), encode(packed)));
    else tables<PackedSpec>('jobs').put(key, spec);
    rows.move(undefined, record);
    specs.delete(key);
    tables('done').delete(key);
  }
  rows.write({ table: tables }, Number.POSITIVE_INFINITY);
  return some.length;
}

function removeSome(tables: Tables, name: (typeof OLD_TABLES)[number]): number {
  const table = tables(name);
  const keys = Array.from(table.range({ limit: KEYS_EACH }), ([key]) => key);
  for (const key of keys) table.delete(key);
  return keys.length;
}
