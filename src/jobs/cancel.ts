import { AspenError } from '../base/index.ts';
import { moveRecord } from './dependents.ts';
import { type JobView, jobView } from './job-view.ts';
import type { ApplyContext } from './machine-port.ts';
import { finished } from './moves.ts';
import { resolveRecord } from './queries.ts';
import { isFinal, type JobRecord } from './record.ts';

/**
 * A job that waits is cancelled at once; one that runs is `cancelling` until its worker has proven that the attempt is over, or the
 * attempt is lost. Cancelling twice, or what was cancelled, changes nothing.
 * @throws AspenError NOT_FOUND; CONFLICT when the job ended otherwise.
 */
export function applyCancel(
  { id, reason }: { readonly id: string; readonly reason: string | null },
  context: ApplyContext,
): JobView {
  const record = resolveRecord(context, id);
  if (record.state === 'cancelled' || record.state === 'cancelling') return jobView(record);
  if (isFinal(record.state)) {
    throw new AspenError('CONFLICT', `${record.id} is ${record.state} already`, {
      details: { current: record.state },
    });
  }
  const after: JobRecord =
    record.running === null
      ? { ...record, ...finished(record, context), state: 'cancelled', cancelReason: reason }
      : { ...record, state: 'cancelling', cancelReason: reason };
  moveRecord(context, after, record);
  return jobView(after);
}
