import { AspenError } from '../base/index.ts';
import { judge } from './dependencies.ts';
import { type JobView, jobView } from './job-view.ts';
import type { ApplyContext } from './machine-port.ts';
import { starting, waiting } from './moves.ts';
import { resolveRecord } from './queries.ts';
import type { JobRecord } from './record.ts';
import { findRecord, putRecord } from './record-store.ts';

/**
 * Lets a job that is dead, cancelled or skipped run once more: at once, one attempt (losses aside), with its history kept. What it waited
 * for when it ended is looked at again.
 * @throws AspenError NOT_FOUND; CONFLICT when it has not ended so, when its deadline is over, or when a parent still stands as it did.
 */
export function applyRetry({ id }: { readonly id: string }, context: ApplyContext): JobView {
  return jobView(runAgain(resolveRecord(context, id), context));
}

/** @returns the record as it is now. @throws as {@link applyRetry}. */
export function runAgain(record: JobRecord, context: ApplyContext): JobRecord {
  if (record.state !== 'dead' && record.state !== 'cancelled' && record.state !== 'skipped') {
    throw new AspenError(
      'CONFLICT',
      `${record.id} is ${record.state}; only what is dead, cancelled or skipped runs again`,
      {
        details: { current: record.state },
      },
    );
  }
  const { deadlineAtMs } = record.spec;
  if (deadlineAtMs !== null && deadlineAtMs <= context.wallMs) {
    throw new AspenError('CONFLICT', `the deadline of ${record.id} is over; submit it anew with a later one`);
  }
  const after = restarted(record, context);
  putRecord(context, after, record);
  return after;
}

function restarted(record: JobRecord, context: ApplyContext): JobRecord {
  const unmet = record.unmet.filter((at) => !isMet(record, at, context));
  const fresh: JobRecord = {
    ...record,
    state: 'blocked',
    unmet,
    readyGroupMs: null,
    dueGroupMs: null,
    finishedAt: null,
    expiresGroupMs: null,
    result: null,
    error: null,
    cancelReason: null,
    failureCount: Math.max(0, record.spec.retry.maxAttempts - 1),
    lossCount: 0,
  };
  if (unmet.length > 0) return fresh;
  return record.attempt === 0 && record.readyGroupMs === null
    ? starting(fresh, context)
    : waiting(fresh, 0, context);
}

/** @throws AspenError CONFLICT: to run now would end as it did. */
function isMet(record: JobRecord, at: number, context: ApplyContext): boolean {
  const { id, on } = record.spec.dependsOn[at] as JobRecord['spec']['dependsOn'][number];
  const parent = findRecord(context, id);
  if (parent === undefined) {
    throw new AspenError(
      'CONFLICT',
      `${record.id} waits for ${id}, which is not kept any more; submit it anew`,
    );
  }
  const verdict = judge(on, parent.state);
  if (verdict === 'met' || verdict === 'wait') return verdict === 'met';
  const { onDependencyFailure: policy } = record.spec;
  if (policy === 'continue') return true;
  if (policy === 'block' && verdict === 'failed') return false;
  const advice = verdict === 'failed' ? `; retry ${id} first` : '; it runs only when that fails';
  throw new AspenError('CONFLICT', `${record.id} depends on ${id}, which is ${parent.state}${advice}`, {
    details: { parent: id, current: parent.state },
  });
}
