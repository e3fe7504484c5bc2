import { z } from 'zod';
import { AspenError, encode } from '../base/index.ts';
import type { Owner, Placed } from './job-places.ts';
import { type JobView, jobView } from './job-view.ts';
import { newestBlock, newestOfAll, newestOfKind, upTo } from './kind-index.ts';
import { endedKind, labelKind, ownerKind, typeKind } from './kinds.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, type Key, keyText, type QueryContext, textKey } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { findRecord, rowsOf } from './record-store.ts';
import { SPEC_BASE } from './spec.ts';

export const LIST_LIMIT = 1_000;
const LIST_DEFAULT = 100;
/** Records, and blocks of a kind, looked at for one page; a page may come out short, with a cursor to go on from. */
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
const TRIED_AGAIN: readonly ['scheduled', 'queued'] = ['scheduled', 'queued'];

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

type ListQuery = z.output<typeof listSchema>;

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
export function runList(query: ListQuery, context: QueryContext): { jobs: JobView[]; cursor?: string } {
  const limit = Math.min(LIST_LIMIT, query.limit ?? LIST_DEFAULT);
  const jobs: JobView[] = [];
  let bytes = 0;
  let looked = 0;
  let last: Key = '';
  for (const { place, id } of placesOf(query, context)) {
    const isFull = jobs.length === limit || bytes >= PAGE_BYTES || looked === SCAN_LIMIT;
    if (isFull) return { jobs, cursor: cursorOf(last) };
    looked += 1;
    last = place;
    const record = id === undefined ? undefined : findRecord(context, id);
    if (record === undefined || !matches(record, query)) continue;
    const view = jobView(record);
    jobs.push(view);
    bytes += encode(view).length;
  }
  return { jobs };
}

/** A place without a job marks how far was looked. */
interface Looked {
  readonly place: Key;
  readonly id: string | undefined;
}

/** What may match, newest first, from the narrowest indexes there are; for the default queue all that is left is looked at. */
function placesOf(query: ListQuery, context: QueryContext): Iterable<Looked> {
  const before = query.cursor === undefined ? '\u00ff' : keyOfCursor(query.cursor);
  const kinds = kindsAsked(query);
  if (kinds.length > 0) return placesInBlocks(kinds, query, context, before);
  return placesOfLines(query, context, before);
}

/**
 * The blocks of the kinds and the lines of the other filters take turns in leading: whichever is behind jumps to where the other is, so
 * that the rarer one decides how much is looked at.
 */
function* placesInBlocks(
  kinds: readonly Key[],
  query: ListQuery,
  context: QueryContext,
  before: Key,
): Generator<Looked, void, undefined> {
  let bound = before;
  for (;;) {
    const block = newestBlock(context, kinds, bound);
    if (block === undefined) return;
    let next: Key | undefined;
    for (const placed of placesOfLines(query, context, block.to < bound ? block.to : bound)) {
      if (placed.place < block.from) {
        next = upTo(placed.place);
        break;
      }
      yield placed;
    }
    if (next === undefined) return;
    yield { place: block.from, id: undefined };
    bound = next;
  }
}

function kindsAsked({ type, label }: ListQuery): Key[] {
  const kinds = type === undefined ? [] : [typeKind(type)];
  if (label === undefined) return kinds;
  const [name, value] = labelAsked(label);
  return [...kinds, labelKind(name, value)];
}

/** @returns value undefined where any will do. */
function labelAsked(label: string): readonly [name: string, value: string | undefined] {
  const at = label.indexOf('=');
  return at < 0 ? [label, undefined] : [label.slice(0, at), label.slice(at + 1)];
}

function placesOfLines(query: ListQuery, context: QueryContext, before: Key): Iterable<Placed> {
  const owner = ownerOf(query);
  if (owner !== undefined) return merged(linesOfOwner(owner, query, context, before));
  if (query.state === undefined) return newestOfAll(context, before);
  return merged(statesOf(query).map((state) => placesOfState(context, state, before)));
}

/** `failed` is no state of its own: jobs of two states are looked at for it. */
function statesOf({ state }: ListQuery): JobState[] {
  const wanted = state === undefined ? STATES : [state].flat();
  return [...new Set(wanted.flatMap((one) => (one === 'failed' ? TRIED_AGAIN : [one])))];
}

function ownerOf({ queue, namespace }: ListQuery): readonly [of: Owner, name: string] | undefined {
  if (queue !== undefined && queue !== SPEC_BASE.queue) return ['queue', queue];
  return namespace === undefined || namespace === SPEC_BASE.namespace ? undefined : ['namespace', namespace];
}

/** Unfinished ones by state or by owner, whichever are fewer; finished ones by owner. */
function linesOfOwner(
  [of, name]: readonly [of: Owner, name: string],
  query: ListQuery,
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
  if (wanted.includes('dead')) lines.push(newestOfKind(context, ownerKind(of, name, true), before));
  if (wanted.some((one) => isFinal(one) && one !== 'dead'))
    lines.push(newestOfKind(context, ownerKind(of, name, false), before));
  return lines;
}

/** Ordered lines as one: the newest of their heads comes next. */
function* merged(sources: readonly Iterable<Placed>[]): Iterable<Placed> {
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
    yield head.value;
    heads[newest] = (lines[newest] as Iterator<Placed>).next();
  }
}

function placesOfState(context: QueryContext, state: JobState, before: Key): Iterable<Placed> {
  if (isFinal(state)) return newestOfKind(context, endedKind(state), before);
  return context.derived<LiveIndex>().newestFirst(state, before);
}

function matches(record: JobRecord, query: ListQuery): boolean {
  const { spec, state } = record;
  if (query.type !== undefined && spec.type !== query.type) return false;
  if (query.queue !== undefined && spec.queue !== query.queue) return false;
  if (query.namespace !== undefined && spec.namespace !== query.namespace) return false;
  const wanted = query.state === undefined ? undefined : [query.state].flat();
  const isInState = wanted === undefined || wanted.includes(state);
  if (!isInState && !(wanted.includes('failed') && isTriedAgain(record))) return false;
  if (query.label === undefined) return true;
  const [name, value] = labelAsked(query.label);
  return value === undefined ? Object.hasOwn(spec.labels, name) : labelOf(spec.labels, name) === value;
}

/** What the interface calls `failed`: its latest attempt has failed, and another follows. */
function isTriedAgain({ state, history }: JobRecord): boolean {
  return (TRIED_AGAIN as readonly JobState[]).includes(state) && history.at(-1)?.outcome === 'failed';
}

function labelOf(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

function lastRecord(context: ApplyContext | QueryContext): JobRecord | undefined {
  for (const { id } of newestOfAll(context, '\u00ff')) return findRecord(context, id);
  return undefined;
}

function onlyWithPrefix(context: ApplyContext | QueryContext, prefix: string): JobRecord | undefined {
  if (prefix === '') return undefined;
  const range = { prefix: textKey(prefix), limit: 2 };
  const found = Array.from(rowsOf(context, 'jobs').range(range), ([key]) => keyText(key));
  const [first] = found;
  if (first === undefined) return undefined;
  if (found.length === 1) return findRecord(context, first);
  throw new AspenError('CONFLICT', `several jobs begin with ${prefix}, among them ${found.join(' and ')}`);
}

function cursorOf(place: Key): string {
  return Buffer.from(place, 'latin1').toString('hex');
}

function keyOfCursor(cursor: string): Key {
  if (/^[0-9a-f]{32}$/.test(cursor)) return Buffer.from(cursor, 'hex').toString('latin1');
  throw new AspenError('INVALID_PARAMS', 'cursor: not one that job.list gave', {
    details: { issues: [{ path: 'cursor', message: 'not one that job.list gave' }] },
  });
}
