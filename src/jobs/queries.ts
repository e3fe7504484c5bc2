import { z } from 'zod';
import { AspenError, encode } from '../base/index.ts';
import { type JobView, jobView } from './job-view.ts';
import { type LiveIndex, placeKey } from './live-index.ts';
import { type ApplyContext, type Key, keyText, type QueryContext, textKey } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { endedPrefix, findRecord } from './record-store.ts';

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
  const before = cursor === undefined ? '\u00ff' : keyOfCursor(cursor);
  for (const id of state === undefined
    ? allIds(context, before)
    : idsOfStates(context, [state].flat(), before)) {
    const record = findRecord(context, id);
    if (record !== undefined) yield record;
  }
}

function* allIds(context: QueryContext, before: Key): Iterable<string> {
  for (const [, id] of context.table<string>('order').range({ from: '', to: before, reverse: true }))
    yield id;
}

interface Placed {
  readonly place: Key;
  readonly id: string;
}

/** One ordered line a state, merged: the newest of their heads comes next. */
function* idsOfStates(context: QueryContext, states: readonly string[], before: Key): Iterable<string> {
  const lines = [...new Set(states)].map((state) =>
    idsOfState(context, state as JobState, before)[Symbol.iterator](),
  );
  const heads = lines.map((line) => line.next());
  for (;;) {
    let newest = -1;
    let place: Key = '';
    for (const [at, head] of heads.entries()) {
      if (head.done === true || head.value.place < place) continue;
      newest = at;
      place = head.value.place;
    }
    const head = heads[newest];
    if (head === undefined || head.done === true) return;
    yield head.value.id;
    heads[newest] = (lines[newest] as Iterator<Placed>).next();
  }
}

function* idsOfState(context: QueryContext, state: JobState, before: Key): Iterable<Placed> {
  if (!isFinal(state)) {
    yield* context.derived<LiveIndex>().newestFirst(state, before);
    return;
  }
  const prefix = endedPrefix(state);
  const range = { from: prefix, to: prefix + before, reverse: true };
  for (const [key, id] of context.table<string>('ended').range(range))
    yield { place: key.slice(prefix.length), id };
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
  const found = Array.from(context.table('specs').range(range), ([key]) => keyText(key));
  const [first] = found;
  if (first === undefined) return undefined;
  if (found.length === 1) return findRecord(context, first);
  throw new AspenError('CONFLICT', `several jobs begin with ${prefix}, among them ${found.join(' and ')}`);
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
