import { z } from 'zod';
import { AspenError, encode } from '../base/index.ts';
import { type JobView, jobView } from './job-view.ts';
import { type ApplyContext, type Key, type QueryContext, textKey } from './machine-port.ts';
import type { JobRecord } from './record.ts';
import { findRecord, placeKey, RECORDS } from './record-index.ts';

export const LIST_LIMIT = 1_000;
const LIST_DEFAULT = 100;
/** Records looked at for one page; a page may come out short, with a cursor to go on from. */
const SCAN_LIMIT = 20_000;
/** A page ends with the job that exceeds it: an answer must fit a frame between nodes. Unit: bytes, encoded. */
const PAGE_BYTES = 2 ** 19;

const state = z.enum([
  'blocked',
  'scheduled',
  'queued',
  'running',
  'cancelling',
  'succeeded',
  'failed',
  'dead',
  'cancelled',
  'skipped',
  'paused',
]);

export const listSchema = z.object({
  state: z.union([state, z.array(state).min(1)]).optional(),
  type: z.string().optional(),
  queue: z.string().optional(),
  /** `key=value`, or `key` for any value. */
  label: z.string().optional(),
  limit: z.int().min(1).max(10_000).optional(),
  cursor: z.string().max(64).optional(),
});

/**
 * @param name a job id, a unique prefix of one, or `last` for the newest job.
 * @throws AspenError NOT_FOUND; CONFLICT when several jobs begin with it.
 */
export function resolveRecord(context: ApplyContext | QueryContext, name: string): JobRecord {
  const found =
    name === 'last' ? lastRecord(context) : (findRecord(context, name) ?? onlyWithPrefix(context, name));
  if (found === undefined) throw new AspenError('NOT_FOUND', `no job ${name}`);
  return found;
}

export function runGet({ id }: { readonly id: string }, context: QueryContext): JobView {
  return jobView(resolveRecord(context, id));
}

/** @returns jobs, newest first, and a cursor where there are more to look at. */
export function runList(
  query: z.output<typeof listSchema>,
  context: QueryContext,
): { jobs: JobView[]; cursor?: string } {
  const limit = Math.min(LIST_LIMIT, query.limit ?? LIST_DEFAULT);
  const jobs: JobView[] = [];
  let bytes = 0;
  let looked = 0;
  let last: JobRecord | undefined;
  for (const record of newestFirst(query, context)) {
    const isFull = jobs.length === limit || bytes >= PAGE_BYTES || looked === SCAN_LIMIT;
    if (isFull) return { jobs, cursor: cursorOf(last as JobRecord) };
    looked += 1;
    last = record;
    if (!matches(record, query)) continue;
    const view = jobView(record);
    jobs.push(view);
    bytes += encode(view).length;
  }
  return { jobs };
}

function* newestFirst(
  { state, cursor }: z.output<typeof listSchema>,
  context: QueryContext,
): Iterable<JobRecord> {
  const end = cursor === undefined ? undefined : keyOfCursor(cursor);
  const isOneState = typeof state === 'string';
  const prefix: Key = isOneState ? `${state}/` : '';
  const range = { from: prefix, to: end === undefined ? `${prefix}\u00ff` : prefix + end, reverse: true };
  for (const [, id] of context.table<string>(isOneState ? 'byState' : 'order').range(range)) {
    const record = findRecord(context, id);
    if (record !== undefined) yield record;
  }
}

function matches({ spec, state }: JobRecord, query: z.output<typeof listSchema>): boolean {
  if (query.type !== undefined && spec.type !== query.type) return false;
  if (query.queue !== undefined && spec.queue !== query.queue) return false;
  if (Array.isArray(query.state) && !query.state.includes(state)) return false;
  if (query.label === undefined) return true;
  const [key = '', ...value] = query.label.split('=');
  return value.length === 0 ? Object.hasOwn(spec.labels, key) : spec.labels[key] === value.join('=');
}

function lastRecord(context: ApplyContext | QueryContext): JobRecord | undefined {
  for (const [, id] of context.table<string>('order').range({ reverse: true, limit: 1 }))
    return findRecord(context, id);
  return undefined;
}

function onlyWithPrefix(context: ApplyContext | QueryContext, prefix: string): JobRecord | undefined {
  if (prefix === '') return undefined;
  const range = { prefix: textKey(prefix), limit: 2 };
  const found = Array.from(context.table<JobRecord>(RECORDS).range(range), ([, record]) => record);
  if (found.length < 2) return found[0];
  throw new AspenError(
    'CONFLICT',
    `several jobs begin with ${prefix}, among them ${found.map(({ id }) => id).join(' and ')}`,
  );
}

function cursorOf(record: JobRecord): string {
  return Buffer.from(placeKey(record), 'latin1').toString('hex');
}

function keyOfCursor(cursor: string): Key {
  if (/^[0-9a-f]{32}$/.test(cursor)) return Buffer.from(cursor, 'hex').toString('latin1');
  throw new AspenError('INVALID_PARAMS', 'cursor: not one that job.list gave', {
    details: { issues: [{ path: 'cursor', message: 'not one that job.list gave' }] },
  });
}
