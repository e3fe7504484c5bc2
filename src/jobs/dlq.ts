import { z } from 'zod';
import { AspenError, encode, toWireError, type WireError } from '../base/index.ts';
import { DEAD_SUFFIX_BYTES, type DeadIndex, deadPrefix } from './dead-index.ts';
import { type JobView, jobView } from './job-view.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, type Key, prefixEnd, type QueryContext } from './machine-port.ts';
import { resolveRecord } from './queries.ts';
import type { JobError, JobRecord } from './record.ts';
import { deleteRecord, findRecord, rowsOf } from './record-store.ts';
import { applyRetry } from './rerun.ts';

/** Dead jobs that one command moves, or one page shows, at most. */
export const DLQ_LIMIT = 1_000;
/** Dead jobs looked at for one page or command; what is left goes on with the next. */
const SCAN_LIMIT = 20_000;
/** A page ends with the job that exceeds it. Unit: bytes, encoded. */
const PAGE_BYTES = 2 ** 19;

const filterShape = {
  queue: z.string().min(1).max(128).optional(),
  type: z.string().min(1).max(128).optional(),
  /** The code of the error that ended the job. */
  reason: z.string().max(64).optional(),
};
const filter = z.strictObject(filterShape);
const limit = z.int().min(1).max(DLQ_LIMIT).default(DLQ_LIMIT);
const cursor = z.string().max(64).optional();

export const dlqListSchema = z.strictObject({
  ...filterShape,
  limit: z.int().min(1).max(DLQ_LIMIT).default(100),
  cursor,
});

/** One job by its id, or those that a filter finds, from where an earlier command stopped; an empty filter is all. */
export const dlqMoveSchema = z.union([
  z.strictObject({ id: z.string().min(1).max(128) }),
  z.strictObject({ filter, limit, cursor }),
]);

type Filter = z.output<typeof filter>;
type Move = z.output<typeof dlqMoveSchema>;

/** A dead job in a list. Instants are wall time. */
export interface DeadView {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly namespace: string;
  readonly attempts: number;
  readonly submittedAt: number;
  readonly diedAt: number;
  /** Where the latest attempt ran. */
  readonly node: string | null;
  readonly error: JobError | null;
}

/** How far a command came through what a filter finds. */
interface Reached {
  /** Whether it did not look at all of them. */
  readonly isMore: boolean;
  /** Where the next command goes on, so that what cannot be moved is not looked at again; only where there is more. */
  readonly cursor?: string;
}

export interface Redriven extends Reached {
  readonly redriven: readonly string[];
  /** What could not run again, each with why; it is dead as before. */
  readonly refused: readonly { readonly id: string; readonly error: WireError }[];
}

export interface Purged extends Reached {
  readonly purged: readonly string[];
}

/** @returns dead jobs, the latest first, and a cursor where there are more to look at. */
export function runDlqList(
  { limit, cursor, ...wanted }: z.output<typeof dlqListSchema>,
  context: QueryContext,
): { readonly jobs: DeadView[]; readonly cursor?: string } {
  const jobs: DeadView[] = [];
  let bytes = 0;
  let looked = 0;
  let last: Key = '';
  const before = cursor === undefined ? undefined : placeOfCursor(cursor);
  for (const { place, record } of deadJobs(wanted, context, { isNewestFirst: true, before })) {
    if (jobs.length === limit || bytes >= PAGE_BYTES || looked === SCAN_LIMIT)
      return { jobs, cursor: cursorOf(last) };
    looked += 1;
    last = place;
    if (!fits(record, wanted)) continue;
    const view = deadView(record);
    jobs.push(view);
    bytes += encode(view).length;
  }
  return { jobs };
}

/** @throws AspenError NOT_FOUND; CONFLICT when the job is not dead. */
export function runDlqInspect({ id }: { readonly id: string }, context: QueryContext): JobView {
  return jobView(deadRecord(context, id));
}

/**
 * Lets dead jobs run once more, the first dead first: same id, history kept, one attempt more.
 *
 * - Q8 A dead job is moved once however often it is asked for: the command moves what is dead, and what was moved is not.
 *
 * @throws AspenError for a single job: NOT_FOUND, CONFLICT when it is not dead or cannot run again.
 */
export function applyRedrive(move: Move, context: ApplyContext): Redriven {
  if ('id' in move) {
    const { id } = deadRecord(context, move.id);
    applyRetry({ id }, context);
    return { redriven: [id], refused: [], isMore: false };
  }
  const redriven: string[] = [];
  const refused: { id: string; error: WireError }[] = [];
  const reached = moveDead(move, context, ({ id }) => {
    try {
      applyRetry({ id }, context);
      redriven.push(id);
      return true;
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      refused.push({ id, error: toWireError(error) });
      return false;
    }
  });
  return { redriven, refused, ...reached };
}

/** Removes dead jobs for good, the first dead first. One that another job still waits for stays. */
export function applyPurgeDead(move: Move, context: ApplyContext): Purged {
  const index = context.derived<LiveIndex>();
  if ('id' in move) {
    const record = deadRecord(context, move.id);
    if (index.hasDependents(record.id)) {
      throw new AspenError('CONFLICT', `jobs wait for ${record.id}; cancel those first`);
    }
    deleteRecord(context, record);
    return { purged: [record.id], isMore: false };
  }
  const purged: string[] = [];
  const reached = moveDead(move, context, (record) => {
    if (index.hasDependents(record.id)) return false;
    deleteRecord(context, record);
    purged.push(record.id);
    return true;
  });
  return { purged, ...reached };
}

/**
 * Moves those that the filter finds, the first dead first: as many as the limit says, and past as many that cannot be moved as one command looks at.
 * @param move tells whether it could be moved.
 */
function moveDead(
  { filter: wanted, limit: most, cursor }: Extract<Move, { filter: unknown }>,
  context: ApplyContext,
  move: (record: JobRecord) => boolean,
): Reached {
  let after = cursor === undefined ? undefined : placeOfCursor(cursor);
  let movedCount = 0;
  let stuckCount = 0;
  for (let looked = 0; ; ) {
    const page = oldestDead(wanted, context, {
      after,
      most: most - movedCount,
      lookLimit: SCAN_LIMIT - looked,
    });
    for (const record of page.records) {
      if (move(record)) movedCount += 1;
      else stuckCount += 1;
    }
    if (!page.isMore) return { isMore: false };
    looked += page.looked;
    after = page.last;
    if (movedCount === most || stuckCount >= DLQ_LIMIT || looked === SCAN_LIMIT)
      return { isMore: true, cursor: cursorOf(after) };
  }
}

/** Collected before anything is written. */
function oldestDead(
  wanted: Filter,
  context: ApplyContext,
  {
    after,
    most,
    lookLimit,
  }: { readonly after: Key | undefined; readonly most: number; readonly lookLimit: number },
) {
  const records: JobRecord[] = [];
  let looked = 0;
  let last: Key = '';
  for (const { place, record } of deadJobs(wanted, context, { isNewestFirst: false, after })) {
    if (records.length === most || looked === lookLimit) return { records, looked, last, isMore: true };
    looked += 1;
    last = place;
    if (fits(record, wanted)) records.push(record);
  }
  return { records, looked, last, isMore: false };
}

/** From the narrowest index that the filter names. What it finds is collected before anything is written, a row at a time is read. */
function* deadJobs(
  wanted: Filter,
  context: ApplyContext | QueryContext,
  {
    isNewestFirst,
    before,
    after,
  }: {
    readonly isNewestFirst: boolean;
    readonly before?: Key | undefined;
    readonly after?: Key | undefined;
  },
): Iterable<{ readonly place: Key; readonly record: JobRecord }> {
  const prefix = deadPrefix(...narrowest(wanted));
  const to = before === undefined ? prefixEnd(prefix) : prefix + before;
  const from = after === undefined ? prefix : `${prefix}${after}\u0000`;
  const range = { from, to, reverse: isNewestFirst };
  for (const [key, id] of rowsOf<string>(context, 'dead').range(range)) {
    const record = findRecord(context, id);
    if (record !== undefined) yield { place: key.slice(-DEAD_SUFFIX_BYTES), record };
  }
}

function narrowest({ queue, type, reason }: Filter): readonly [index: DeadIndex, name: string] {
  if (reason !== undefined) return ['reason', reason];
  if (queue !== undefined) return ['queue', queue];
  return type === undefined ? ['all', ''] : ['type', type];
}

function fits({ spec, error }: JobRecord, { queue, type, reason }: Filter): boolean {
  return (
    (queue === undefined || spec.queue === queue) &&
    (type === undefined || spec.type === type) &&
    (reason === undefined || error?.code === reason)
  );
}

function deadRecord(context: ApplyContext | QueryContext, name: string): JobRecord {
  const record = resolveRecord(context, name);
  if (record.state === 'dead') return record;
  throw new AspenError('CONFLICT', `${record.id} is ${record.state}, not dead`, {
    details: { current: record.state },
  });
}

function deadView(record: JobRecord): DeadView {
  const { id, spec, attempt, submittedAt, finishedAt, error, history } = record;
  return {
    id,
    type: spec.type,
    queue: spec.queue,
    namespace: spec.namespace,
    attempts: attempt,
    submittedAt,
    diedAt: finishedAt ?? 0,
    node: history.at(-1)?.node ?? null,
    error,
  };
}

function cursorOf(place: Key): string {
  return Buffer.from(place, 'latin1').toString('hex');
}

function placeOfCursor(cursor: string): Key {
  if (/^[0-9a-f]{48}$/.test(cursor)) return Buffer.from(cursor, 'hex').toString('latin1');
  throw new AspenError('INVALID_PARAMS', 'cursor: not one that was given', {
    details: { issues: [{ path: 'cursor', message: 'not one that was given' }] },
  });
}
