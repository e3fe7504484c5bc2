import type { Bits, BlockIds } from './blocks.ts';
import { continueCascades, hasCascade, moveRecord } from './dependents.ts';
import { jobsMarked } from './kind-index.ts';
import { EXPIRY_BEAT_MS } from './kinds.ts';
import { pauseText } from './limits.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, keyNumber, numberKey, type QueryContext } from './machine-port.ts';
import { SINCE } from './machine-versions.ts';
import { ended, ready } from './moves.ts';
import { isFinal, type JobError, type JobRecord } from './record.ts';
import { deleteRecord, findRecord, postpone, rowsOf } from './record-store.ts';
import { hasExcess, type PurgeCursor, removeExcess } from './retention.ts';

/** One command moves so many at most; the leader proposes again while more are due. */
const BATCH_LIMIT = 1_000;
/** An expired record that a job waits for is looked at again after its retention, or after so long. Unit: ms. */
const KEPT_FOR_DEPENDENTS_MS = 60_000;

/**
 * Does what time has made due: queues scheduled jobs, ends those that waited too long or whose deadline has passed, and tells the
 * dependents that an earlier command did not reach. Durations are compared with group time, planned instants with the command's wall time.
 */
export function applyRelease(context: ApplyContext): { readonly released: number; readonly isMore: boolean } {
  const index = context.derived<LiveIndex>();
  continueCascades(context);
  const planned = index.planned(context.wallMs, BATCH_LIMIT);
  for (const id of planned) move(id, context, afterInstant);
  const due = index.due(context.groupMs, BATCH_LIMIT);
  for (const id of due) move(id, context, afterWait);
  const isFull = planned.length === BATCH_LIMIT || due.length === BATCH_LIMIT;
  return { released: planned.length + due.length, isMore: isFull || hasCascade(context) };
}

/** What an earlier move of the same command has ended stays so. */
function move(
  id: string,
  context: ApplyContext,
  after: (record: JobRecord, context: ApplyContext) => JobRecord,
): void {
  const record = findRecord(context, id);
  if (record !== undefined && !isFinal(record.state)) moveRecord(context, after(record, context), record);
}

function afterWait(record: JobRecord, context: ApplyContext): JobRecord {
  if (record.state === 'scheduled') return ready(record, context);
  const { queue, queueTimeoutMs } = record.spec;
  const { paused } = context.derived<LiveIndex>().limits.of('queue', queue);
  const because = paused === null ? '' : `: ${pauseText(queue, paused)}`;
  const message = `no node took it within ${queueTimeoutMs} ms${because}`;
  return ended(record, 'dead', { code: 'QUEUE_TIMEOUT', message, retryable: true }, context);
}

/** A running attempt is stopped first; what is proven to be over then dies of the deadline. */
function afterInstant(record: JobRecord, context: ApplyContext): JobRecord {
  const { deadlineAtMs } = record.spec;
  if (deadlineAtMs === null || deadlineAtMs > context.wallMs) return ready(record, context);
  const message = `not over by ${new Date(deadlineAtMs).toISOString()}`;
  const error: JobError = { code: 'DEADLINE', message, retryable: false };
  if (record.running === null) return ended(record, 'dead', error, context);
  return { ...record, state: 'cancelling', ending: error };
}

/** What a purge is asked; nothing in a log from before. */
export interface PurgeBody {
  /** Where an earlier one ended; null to begin at the beginning. */
  readonly from: PurgeCursor | null;
}

/**
 * Removes final records that were kept for as long as they asked, then those that are too many. One that a job still waits for is kept for
 * longer (D3).
 */
export function applyPurge(
  { from }: PurgeBody,
  context: ApplyContext,
): { readonly purged: number; readonly isMore: boolean; readonly next?: PurgeCursor | null } {
  const expired = expiredRecords(context);
  for (const record of expired) {
    if (!context.derived<LiveIndex>().hasDependents(record.id)) deleteRecord(context, record);
    else putOff(record, context);
  }
  const isFull = expired.length === BATCH_LIMIT;
  const { removed, next } = removeExcess(context, BATCH_LIMIT - expired.length, from);
  const purged = expired.length + removed;
  if (context.version < SINCE.purgeCursor)
    return { purged, isMore: isFull || (removed > 0 && hasExcess(context)) };
  return { purged, isMore: isFull || (removed > 0 && next !== null), next };
}

/** The first of them, as many as one command moves. */
function expiredRecords(context: ApplyContext): JobRecord[] {
  const blocks = rowsOf<BlockIds>(context, 'blocks');
  const expired: JobRecord[] = [];
  const due = { to: numberKey(context.groupMs + 1) };
  for (const [key, bits] of context.table<Bits>('expiryBits').range(due)) {
    for (const { id } of jobsMarked(blocks, key, bits)) {
      const record = findRecord(context, id);
      if (record === undefined || (record.expiresGroupMs ?? 0) > context.groupMs) continue;
      if (expired.push(record) === BATCH_LIMIT) return expired;
    }
  }
  return expired;
}

function putOff(record: JobRecord, context: ApplyContext): void {
  const keptMs = Math.max(KEPT_FOR_DEPENDENTS_MS, record.spec.retentionMs);
  postpone(context, record, context.groupMs + keptMs);
}

/** @returns wall time of the next planned instant; null when none is planned. */
export function nextInstant(context: QueryContext): number | null {
  const first = context.derived<LiveIndex>().firstPlanned();
  return first === undefined ? null : keyNumber(first);
}

/** @returns group time at which the next job is due; null when none is. */
export function nextDueMs(context: QueryContext): number | null {
  const first = context.derived<LiveIndex>().firstDue();
  return first === undefined ? null : keyNumber(first);
}

/**
 * Asked several times a second, so nothing is written for it: a row that is written behind, and one that was removed since, may make the time
 * earlier than it is.
 * @returns group time at which the next final record is to be removed; null when none is.
 */
export function nextExpiryMs(context: QueryContext): number | null {
  if (hasExcess(context)) return context.groupMs;
  let nextMs = context.derived<LiveIndex>().late.earliestExpiryMs;
  for (const [key] of context.table<number>('expiryBits').range({ limit: 1 }))
    nextMs = Math.min(nextMs, keyNumber(key) + EXPIRY_BEAT_MS - 1);
  return Number.isFinite(nextMs) ? nextMs : null;
}
