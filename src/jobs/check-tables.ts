import { z } from 'zod';
import { type Key, keyText, type QueryContext } from './machine-port.ts';
import { findRecord, type IndexKey, indexKeysOf, rowsOf } from './record-store.ts';

/** Looked at in this order; `specs` has a row for each job there is. */
const TABLES = ['specs', 'order', 'ended', 'expiring', 'idempotency', 'dead', 'endedOf'] as const;
/** Rows of one page: it holds up all else meanwhile. */
const PAGE_ROWS = 500;
const FAULTS_LIMIT = 100;

export const checkTablesSchema = z.object({
  /** What the page before answered; absent for the first. */
  cursor: z.object({ table: z.int().min(0), after: z.string().max(4_096) }).optional(),
});

export interface TablesPage {
  readonly rowCount: number;
  /** What does not fit, one sentence each; the first {@link FAULTS_LIMIT}. */
  readonly faults: readonly string[];
  /** Absent on the last page. */
  readonly cursor?: { readonly table: number; readonly after: string };
}

/**
 * Compares, page by page, what records say with the tables that follow from them: each record has its entries, and each entry a record that
 * has it (J1). Each page is of one moment, so that what changes between two of them is no fault.
 */
export function runCheckTables(
  { cursor = { table: 0, after: '' } }: z.output<typeof checkTablesSchema>,
  context: QueryContext,
): TablesPage {
  const name = TABLES[cursor.table];
  if (name === undefined) return { rowCount: 0, faults: [] };
  const faults: string[] = [];
  let rowCount = 0;
  let last = '';
  const range = { from: cursor.after === '' ? '' : `${cursor.after}\u0000`, limit: PAGE_ROWS };
  for (const [key, id] of rowsOf<string>(context, name).range(range)) {
    rowCount += 1;
    last = key;
    if (name === 'specs') faults.push(...faultsOfRecord(context, keyText(key)));
    else faults.push(...faultsOfEntry(context, { table: name, key }, id));
  }
  const page = { rowCount, faults: faults.slice(0, FAULTS_LIMIT) };
  if (rowCount === PAGE_ROWS) return { ...page, cursor: { table: cursor.table, after: last } };
  const next = cursor.table + 1;
  return next < TABLES.length ? { ...page, cursor: { table: next, after: '' } } : page;
}

function faultsOfRecord(context: QueryContext, id: string): readonly string[] {
  const record = findRecord(context, id);
  if (record === undefined) return [`${id} has a spec and no record`];
  return indexKeysOf(record).flatMap(({ table, key }) =>
    rowsOf<string>(context, table).get(key) === id ? [] : [`${id} is not in the table ${table}`],
  );
}

function faultsOfEntry(context: QueryContext, { table, key }: IndexKey, id: string): readonly string[] {
  const record = findRecord(context, id);
  if (record === undefined) return [`the table ${table} names ${id}, of which there is no record`];
  const isThere = indexKeysOf(record).some((one) => one.table === table && isSame(one.key, key));
  return isThere ? [] : [`the table ${table} names ${id} in a place where its record does not belong`];
}

function isSame(left: Key, right: Key): boolean {
  return left === right;
}
