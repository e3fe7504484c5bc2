import type { Placed } from './job-places.ts';
import { oldestOfKind } from './kind-index.ts';
import { endedKind, ownerKind } from './kinds.ts';
import type { LiveIndex } from './live-index.ts';
import type { ApplyContext, Key, QueryContext } from './machine-port.ts';
import { SINCE } from './machine-versions.ts';
import { keyEndsGroupMs } from './moves.ts';
import type { JobRecord } from './record.ts';
import { deleteRecord, findRecord } from './record-store.ts';

/** What is kept of finished jobs is bounded by these; dead ones go by their age alone. */
const COUNTED = ['succeeded', 'cancelled', 'skipped'] as const;
/** Records that one command looks at for what it may remove, about. */
const LOOK_LIMIT = 2_000;

type Context = ApplyContext | QueryContext;

/** No queue has this name: stands for all jobs. */
const ALL = '';

/** A queue, or all jobs, with more finished jobs than may be kept. */
interface Excess {
  readonly queue: string;
  readonly count: number;
  readonly bytes: number;
}

/** Where the next purge goes on: behind this place among the finished jobs of a queue, or of all (null). */
export interface PurgeCursor {
  readonly queue: string | null;
  readonly place: Key;
}

export interface Purged {
  readonly removed: number;
  /** Null where all that might go was looked at. */
  readonly next: PurgeCursor | null;
}

/**
 * Removes finished jobs beyond the count and the bytes that their queue, or the group, keeps: those submitted first go first.
 *
 * - Q9 At most `limit` records are removed by one command, and about LOOK_LIMIT looked at; while more are too many, the leader asks again.
 * - Q10 Nothing dead is removed to make room, nor what a job still waits for, nor what an idempotency key still names for sure (J4).
 * - Q11 Whatever may not go hides nothing: one command says where the next goes on, until all that is too much was looked at.
 */
export function removeExcess(context: ApplyContext, limit: number, from: PurgeCursor | null): Purged {
  if (context.version < SINCE.purgeCursor) return { removed: removeFirst(context, limit), next: null };
  let removed = 0;
  let looks = LOOK_LIMIT;
  for (const queue of inTurn(boundedQueues(context), from)) {
    const excess = excessOf(context, queue);
    if (excess === undefined) continue;
    const after = from !== null && queue === (from.queue ?? ALL) ? from.place : '';
    const line = nextInLine(context, queue, after, looks);
    const step = removeSome(context, excess, line.jobs, limit - removed);
    removed += step.removed;
    looks -= step.looked;
    if (step.isEnough || (step.looked === line.jobs.length && !line.isMore)) continue;
    const last = line.jobs[step.looked - 1]?.place ?? after;
    return { removed, next: { queue: queue === ALL ? null : queue, place: last } };
  }
  return { removed, next: null };
}

/** As it was before there were cursors: the first of each queue. */
function removeFirst(context: ApplyContext, limit: number): number {
  let removed = 0;
  for (const queue of boundedQueues(context)) {
    const excess = excessOf(context, queue);
    if (excess === undefined) continue;
    removed += removeSome(context, excess, oldest(context, queue, LOOK_LIMIT, ''), limit - removed).removed;
  }
  return removed;
}

/** @returns queues by name, as they come to be on every replica, and all jobs together last; without those that had their turn. */
function inTurn(names: readonly string[], from: PurgeCursor | null): readonly string[] {
  const isNext = (name: string) => from === null || (from.queue !== null && name >= from.queue);
  const queues = names.filter((name) => name !== ALL && isNext(name)).sort();
  return names.includes(ALL) ? [...queues, ALL] : queues;
}

/** Whether more is kept than may be. */
export function hasExcess(context: Context): boolean {
  return boundedQueues(context).some((queue) => excessOf(context, queue) !== undefined);
}

/** @returns queues with limits, then all jobs together, of which less is left by then. */
function boundedQueues(context: Context): readonly string[] {
  const { limits } = context.derived<LiveIndex>();
  return limits.size === 0 ? [] : [...limits.names('queue'), ALL];
}

function excessOf(context: Context, queue: string): Excess | undefined {
  const { limits } = context.derived<LiveIndex>();
  const { maxFinished, maxFinishedBytes } =
    queue === ALL ? limits.of('group', '') : limits.of('queue', queue);
  if (maxFinished === null && maxFinishedBytes === null) return undefined;
  const kept = keptOf(context, queue);
  const count = maxFinished === null ? 0 : Math.max(0, kept.count - maxFinished);
  const bytes = maxFinishedBytes === null ? 0 : Math.max(0, kept.bytes - maxFinishedBytes);
  return count > 0 || bytes > 0 ? { queue, count, bytes } : undefined;
}

function keptOf(context: Context, queue: string): { readonly count: number; readonly bytes: number } {
  const { finished } = context.derived<LiveIndex>();
  if (queue === ALL) return finished.total;
  const { succeeded, cancelled, skipped, bytes } = finished.of(queue);
  return { count: succeeded + cancelled + skipped, bytes };
}

interface Step {
  readonly removed: number;
  readonly looked: number;
  /** Nothing is too much any more. */
  readonly isEnough: boolean;
}

function removeSome(
  context: ApplyContext,
  { count, bytes }: Excess,
  jobs: readonly Placed[],
  limit: number,
): Step {
  const { finished } = context.derived<LiveIndex>();
  const beforeBytes = finished.total.bytes;
  let removed = 0;
  const isEnough = () => removed >= count && beforeBytes - finished.total.bytes >= bytes;
  for (const [looked, { id }] of jobs.entries()) {
    if (isEnough() || removed === limit) return { removed, looked, isEnough: isEnough() };
    const record = findRecord(context, id);
    if (record === undefined || !mayGo(context, record)) continue;
    deleteRecord(context, record);
    removed += 1;
  }
  return { removed, looked: jobs.length, isEnough: isEnough() };
}

/** Q10 */
function mayGo(context: ApplyContext, record: JobRecord): boolean {
  if (record.state === 'dead' || context.derived<LiveIndex>().hasDependents(record.id)) return false;
  return keyEndsGroupMs(record) <= context.groupMs;
}

/** What comes next in the order of submission, at most `count`: of kinds that were not read to their end only what lies before it. */
function nextInLine(
  context: ApplyContext,
  queue: string,
  after: Key,
  count: number,
): { readonly jobs: readonly Placed[]; readonly isMore: boolean } {
  const lines = linesOf(context, queue, count + 1, after);
  const ends = lines.flatMap((line) => (line.length > count ? [(line.at(-1) as Placed).place] : []));
  const known = inOrder(lines).filter(({ place }) => ends.every((end) => place <= end));
  return { jobs: known.slice(0, count), isMore: ends.length > 0 || known.length > count };
}

/** @returns jobs in the order of submission, collected before anything is removed. */
function oldest(context: ApplyContext, queue: string, count: number, after: Key): Placed[] {
  return inOrder(linesOf(context, queue, count, after));
}

function linesOf(context: ApplyContext, queue: string, count: number, after: Key): readonly Placed[][] {
  const kinds = queue === ALL ? COUNTED.map(endedKind) : [ownerKind('queue', queue, false)];
  return kinds.map((kind) => oldestOfKind(context, kind, count, after));
}

function inOrder(lines: readonly Placed[][]): Placed[] {
  return lines.flat().sort((left, right) => (left.place < right.place ? -1 : 1));
}
