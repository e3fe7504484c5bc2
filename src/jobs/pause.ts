import { AspenError } from '../base/index.ts';
import { type JobView, jobView } from './job-view.ts';
import type { ApplyContext } from './machine-port.ts';
import { ready, starting, waiting } from './moves.ts';
import { resolveRecord } from './queries.ts';
import type { JobRecord } from './record.ts';
import { putRecord } from './record-store.ts';

/**
 * Keeps a job that waits from going on until it is resumed. Its deadline goes on, and so do its parents; the limit of its wait in the queue
 * begins again with the resumption. Pausing twice changes nothing.
 * @throws AspenError NOT_FOUND; CONFLICT when it runs or is final.
 */
export function applyPauseJob({ id }: { readonly id: string }, context: ApplyContext): JobView {
  const record = resolveRecord(context, id);
  if (record.state === 'paused') return jobView(record);
  if (record.state !== 'blocked' && record.state !== 'scheduled' && record.state !== 'queued') {
    throw new AspenError('CONFLICT', `${record.id} is ${record.state}; only a job that waits can be paused`, {
      details: { current: record.state },
    });
  }
  const after: JobRecord = { ...record, state: 'paused', dueGroupMs: dueWhilePaused(record, context) };
  putRecord(context, after, record);
  return jobView(after);
}

/** What is left to wait for at the resumption; null for a job that had not begun to wait, or had nothing more to wait for. */
function dueWhilePaused({ state, dueGroupMs }: JobRecord, { groupMs }: ApplyContext): number | null {
  return state === 'scheduled' ? (dueGroupMs ?? groupMs) : null;
}

/** Lets a paused job go on where it stood. @throws AspenError NOT_FOUND; CONFLICT when it is not paused. */
export function applyResumeJob({ id }: { readonly id: string }, context: ApplyContext): JobView {
  const record = resolveRecord(context, id);
  if (record.state !== 'paused') {
    throw new AspenError('CONFLICT', `${record.id} is ${record.state}, not paused`, {
      details: { current: record.state },
    });
  }
  const after = resumed(record, context);
  putRecord(context, after, record);
  return jobView(after);
}

function resumed(record: JobRecord, context: ApplyContext): JobRecord {
  if (record.unmet.length > 0) return { ...record, state: 'blocked' };
  if (record.dueGroupMs !== null) return waiting(record, record.dueGroupMs - context.groupMs, context);
  return record.readyGroupMs === null ? starting(record, context) : ready(record, context);
}
