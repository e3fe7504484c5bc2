import { z } from 'zod';
import { type BlockIds, bitOf, blockOf, kindOfRow, placeInBlock } from './blocks.ts';
import { placeKey } from './job-places.ts';
import { jobsMarked } from './kind-index.ts';
import { expiryKind, finalKinds, lastingKinds } from './kinds.ts';
import { type Key, keyText, type QueryContext } from './machine-port.ts';
import { isFinal, type JobRecord } from './record.ts';
import { findRecord, indexKeysOf, rowsOf } from './record-store.ts';

/** Looked at in this order; `jobs` has a row for each job there is. */
const TABLES = ['jobs', 'blocks', 'kindBits', 'expiryBits', 'idempotency', 'dead'] as const;
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
  for (const [key, value] of rowsOf<unknown>(context, name).range(range)) {
    rowCount += 1;
    last = key;
    faults.push(...CHECKS[name](context, key, value as never));
  }
  const page = { rowCount, faults: faults.slice(0, FAULTS_LIMIT) };
  if (rowCount === PAGE_ROWS) return { ...page, cursor: { table: cursor.table, after: last } };
  const next = cursor.table + 1;
  return next < TABLES.length ? { ...page, cursor: { table: next, after: '' } } : page;
}

type Check = (context: QueryContext, key: Key, value: never) => readonly string[];

const CHECKS: Readonly<Record<(typeof TABLES)[number], Check>> = {
  jobs: (context, key) => faultsOfRecord(context, keyText(key)),
  blocks: faultsOfBlock,
  kindBits: (context, key, bits: number) => faultsOfBits(context, 'kindBits', key, bits),
  expiryBits: (context, key, bits: number) => faultsOfBits(context, 'expiryBits', key, bits),
  idempotency: (context, key, id: string) => faultsOfEntry(context, 'idempotency', key, id),
  dead: (context, key, id: string) => faultsOfEntry(context, 'dead', key, id),
};

function faultsOfRecord(context: QueryContext, id: string): readonly string[] {
  const record = findRecord(context, id);
  if (record === undefined) return [`${id} has a spec and no record`];
  const block = blockOf(record);
  const missing = indexKeysOf(record)
    .filter(({ table, key }) => rowsOf<string>(context, table).get(key) !== id)
    .map(({ table }) => table as string);
  if (rowsOf<BlockIds>(context, 'blocks').get(block)?.[placeInBlock(record)] !== id) missing.push('blocks');
  for (const { table, kind } of bitsOf(record)) {
    const bits = rowsOf<number>(context, table).get(kind + block) ?? 0;
    if ((bits & bitOf(record)) === 0) missing.push(table);
  }
  return [...new Set(missing)].map((table) => `${id} is not in the table ${table}`);
}

function bitsOf(record: JobRecord): { readonly table: 'kindBits' | 'expiryBits'; readonly kind: Key }[] {
  const kinds = [...lastingKinds(record), ...finalKinds(record)].map((kind) => ({
    table: 'kindBits' as const,
    kind,
  }));
  return isFinal(record.state) ? [...kinds, { table: 'expiryBits', kind: expiryKind(record) }] : kinds;
}

function faultsOfBlock(context: QueryContext, block: Key, ids: BlockIds): readonly string[] {
  return ids.flatMap((id, at) => {
    if (id === null) return [];
    const record = findRecord(context, id);
    if (record === undefined) return [noRecord('blocks', id)];
    return blockOf(record) === block && placeInBlock(record) === at ? [] : [wrongPlace('blocks', id)];
  });
}

function faultsOfBits(
  context: QueryContext,
  table: 'kindBits' | 'expiryBits',
  key: Key,
  bits: number,
): readonly string[] {
  const kind = kindOfRow(key);
  const placed = jobsMarked(rowsOf<BlockIds>(context, 'blocks'), key, bits);
  const faults = placed.flatMap(({ place, id }) => {
    const record = findRecord(context, id);
    if (record === undefined) return [noRecord(table, id)];
    const isThere = bitsOf(record).some((one) => one.table === table && one.kind === kind);
    return isThere && placeKey(record) === place ? [] : [wrongPlace(table, id)];
  });
  return placed.length === countOf(bits)
    ? faults
    : [...faults, `the table ${table} marks a place at which there is no job`];
}

function countOf(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}

function faultsOfEntry(
  context: QueryContext,
  table: 'idempotency' | 'dead',
  key: Key,
  id: string,
): readonly string[] {
  const record = findRecord(context, id);
  if (record === undefined) return [noRecord(table, id)];
  const isThere = indexKeysOf(record).some((one) => one.table === table && one.key === key);
  return isThere ? [] : [wrongPlace(table, id)];
}

function noRecord(table: string, id: string): string {
  return `the table ${table} names ${id}, of which there is no record`;
}

function wrongPlace(table: string, id: string): string {
  return `the table ${table} names ${id} in a place where its record does not belong`;
}
