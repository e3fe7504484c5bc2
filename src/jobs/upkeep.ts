import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, keyNumber, numberKey, type QueryContext } from './machine-port.ts';
import { deleteRecord, findRecord, putRecord } from './record-store.ts';

/** One command moves so many at most; the leader proposes again while more are due. */
const BATCH_LIMIT = 1_000;

/** Queues scheduled jobs whose time has come, in group time. */
export function applyRelease(context: ApplyContext): { readonly released: number; readonly isMore: boolean } {
  const due = context.derived<LiveIndex>().due(context.groupMs, BATCH_LIMIT);
  for (const id of due) {
    const record = findRecord(context, id);
    if (record !== undefined) putRecord(context, { ...record, state: 'queued', dueGroupMs: null }, record);
  }
  return { released: due.length, isMore: due.length === BATCH_LIMIT };
}

/** Removes final records that were kept for as long as they asked. */
export function applyPurge(context: ApplyContext): { readonly purged: number; readonly isMore: boolean } {
  const range = { to: numberKey(context.groupMs + 1), limit: BATCH_LIMIT };
  const expired = Array.from(context.table<string>('expiring').range(range), ([, id]) => id);
  for (const id of expired) {
    const record = findRecord(context, id);
    if (record !== undefined) deleteRecord(context, record);
  }
  return { purged: expired.length, isMore: expired.length === BATCH_LIMIT };
}

/** @returns group time at which the next scheduled job is due; null when none is. */
export function nextDueMs(context: QueryContext): number | null {
  const first = context.derived<LiveIndex>().firstDue();
  return first === undefined ? null : keyNumber(first);
}

/** @returns group time at which the next final record expires; null when none does. */
export function nextExpiryMs(context: QueryContext): number | null {
  for (const [key] of context.table<string>('expiring').range({ limit: 1 })) return keyNumber(key);
  return null;
}
