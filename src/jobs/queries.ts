import { z } from 'zod';
import { AspenError, encode } from '../base/index.ts';
import { endedOfPrefix } from './ended-index.ts';
import { type JobView, jobView } from './job-view.ts';
import { type LiveIndex, type Owner, type Placed, placeKey } from './live-index.ts';
import { type ApplyContext, type Key, keyText, type QueryContext, textKey } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { endedPrefix, findRecord, rowsOf } from './record-store.ts';
import { SPEC_BASE } from './spec.ts';

export const LIST_LIMIT = 1_000;
const LIST_DEFAULT = 100;
/** Records looked at for one page; a page may come out short, with a cursor to go on from. */
const SCAN_LIMIT = 20_000;
/** A page ends with the job that exceeds it: an answer must fit a frame between nodes. Unit: bytes, encoded. */
const PAGE_BYTES = 2 ** 19;

const STATES = [
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
] as const;
const state = z.enum(STATES);

export const listSchema = z.object({
  state: z.union([state, z.array(state).min(1)]).optional(),
  type: z.string().optional(),
  queue: z.string().optional(),
  namespace: z.string().optional(),
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

function* newestFirst(query: z.output<typeof listSchema>, context: QueryContext): Iterable<JobRecord> {
  const before = query.cursor === undefined ? '\u00ff' : keyOfCursor(query.cursor);
  for (const id of idsOf(query, context, before)) {
    const record = findRecord(context, id);
    if (record !== undefined) yield record;
  }
}

/** From the narrowest indexes there are; a type, a label and the default queue have none, there all of a state is looked at. */
function idsOf(query: z.output<typeof listSchema>, context: QueryContext, before: Key): Iterable<string> {
  const owner = ownerOf(query);
  if (owner !== undefined) return merged(linesOfOwner(owner, query, context, before));
  if (query.state === undefined) return allIds(context, before);
  return merged(statesOf(query).map((state) => idsOfState(context, state, before)));
}

function statesOf({ state }: z.output<typeof listSchema>): JobState[] {
  return [...new Set(state === undefined ? STATES : [state].flat())] as JobState[];
}

function ownerOf({
  queue,
  namespace,
}: z.output<typeof listSchema>): readonly [of: Owner, name: string] | undefined {
  if (queue !== undefined && queue !== SPEC_BASE.queue) return ['queue', queue];
  return namespace === undefined || namespace === SPEC_BASE.namespace ? undefined : ['namespace', namespace];
}

/** Unfinished ones by state or by owner, whichever are fewer; finished ones by owner. */
function linesOfOwner(
  [of, name]: readonly [of: Owner, name: string],
  query: z.output<typeof listSchema>,
  context: QueryContext,
  before: Key,
): Iterable<Placed>[] {
  const index = context.derived<LiveIndex>();
  const wanted = statesOf(query);
  const live = wanted.filter((one) => !isFinal(one));
  const ofStates = live.reduce((sum, one) => sum + index.countOf(one), 0);
  const lines: Iterable<Placed>[] =
    ofStates <= index.countOfOwner(of, name)
      ? live.map((one) => index.newestFirst(one, before))
      : [index.newestOf(of, name, before)];
  if (wanted.includes('dead'))
    lines.push(endedLine(context, 'endedOf', endedOfPrefix(of, name, true), before));
  if (wanted.some((one) => isFinal(one) && one !== 'dead'))
    lines.push(endedLine(context, 'endedOf', endedOfPrefix(of, name, false), before));
  return lines;
}

function* allIds(context: QueryContext, before: Key): Iterable<string> {
  for (const [, id] of rowsOf<string>(context, 'order').range({ from: '', to: before, reverse: true }))
    yield id;
}

/** Ordered lines as one: the newest of their heads comes next. */
function* merged(sources: readonly Iterable<Placed>[]): Iterable<string> {
  const lines = sources.map((source) => source[Symbol.iterator]());
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
  yield* endedLine(context, 'ended', endedPrefix(state), before);
}

function* endedLine(
  context: QueryContext,
  table: 'ended' | 'endedOf',
  prefix: Key,
  before: Key,
): Iterable<Placed> {
  const range = { from: prefix, to: prefix + before, reverse: true };
  for (const [key, id] of rowsOf<string>(context, table).range(range))
    yield { place: key.slice(prefix.length), id };
}

function matches({ spec, state }: JobRecord, query: z.output<typeof listSchema>): boolean {
  if (query.type !== undefined && spec.type !== query.type) return false;
  if (query.queue !== undefined && spec.queue !== query.queue) return false;
  if (query.namespace !== undefined && spec.namespace !== query.namespace) return false;
  if (query.state !== undefined && ![query.state].flat().includes(state)) return false;
  if (query.label === undefined) return true;
  const [key = '', ...value] = query.label.split('=');
  return value.length === 0 ? Object.hasOwn(spec.labels, key) : spec.labels[key] === value.join('=');
}

function lastRecord(context: ApplyContext | QueryContext): JobRecord | undefined {
  for (const [, id] of rowsOf<string>(context, 'order').range({ reverse: true, limit: 1 }))
    return findRecord(context, id);
  return undefined;
}

function onlyWithPrefix(context: ApplyContext | QueryContext, prefix: string): JobRecord | undefined {
  if (prefix === '') return undefined;
  const range = { prefix: textKey(prefix), limit: 2 };
  const found = Array.from(rowsOf(context, 'specs').range(range), ([key]) => keyText(key));
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
