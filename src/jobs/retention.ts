import { oldestOfKind } from './kind-index.ts';
import { endedKind, ownerKind } from './kinds.ts';
import type { LiveIndex } from './live-index.ts';
import type { ApplyContext, QueryContext } from './machine-port.ts';
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

/**
 * Removes finished jobs beyond the count and the bytes that their queue, or the group, keeps: those submitted first go first.
 *
 * - Q9 At most `limit` records are removed by one command; while more are too many, the leader asks again.
 * - Q10 Nothing dead is removed to make room, nor what a job still waits for, nor what an idempotency key still names for sure (J4).
 *
 * @returns how many were removed.
 */
export function removeExcess(context: ApplyContext, limit: number): number {
  let removed = 0;
  for (const queue of boundedQueues(context)) {
    const excess = excessOf(context, queue);
    if (excess !== undefined) removed += removeOldest(context, excess, limit - removed);
  }
  return removed;
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

function removeOldest(context: ApplyContext, { queue, count, bytes }: Excess, limit: number): number {
  const { finished } = context.derived<LiveIndex>();
  const beforeBytes = finished.total.bytes;
  let removed = 0;
  for (const id of oldest(context, queue)) {
    const isEnough = removed >= count && beforeBytes - finished.total.bytes >= bytes;
    if (isEnough || removed === limit) break;
    const record = findRecord(context, id);
    if (record === undefined || !mayGo(context, record)) continue;
    deleteRecord(context, record);
    removed += 1;
  }
  return removed;
}

/** Q10 */
function mayGo(context: ApplyContext, record: JobRecord): boolean {
  if (record.state === 'dead' || context.derived<LiveIndex>().hasDependents(record.id)) return false;
  return keyEndsGroupMs(record) <= context.groupMs;
}

/** @returns ids in the order of submission, collected before anything is removed. */
function oldest(context: ApplyContext, queue: string): string[] {
  const kinds = queue === ALL ? COUNTED.map(endedKind) : [ownerKind('queue', queue, false)];
  const lines = kinds.flatMap((kind) => oldestOfKind(context, kind, LOOK_LIMIT));
  return lines.sort((left, right) => (left.place < right.place ? -1 : 1)).map(({ id }) => id);
}
