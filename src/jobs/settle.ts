import { AspenError, toWireError } from '../base/index.ts';
import { moveRecord } from './dependents.ts';
import { PROCESSES_LEFT } from './execution/executor.ts';
import { afterMember } from './group-attempts.ts';
import { isSenderFault } from './hooks/sender-faults.ts';
import type { ApplyContext } from './machine-port.ts';
import { SINCE } from './machine-versions.ts';
import { finished, waiting } from './moves.ts';
import {
  type AttemptOutcome,
  type AttemptRecord,
  HISTORY_LIMIT,
  isFinal,
  type JobError,
  type JobRecord,
  type RunningAttempt,
  type RunningGroup,
} from './record.ts';
import { findRecord } from './record-store.ts';
import { lossesExceeded, lossPauseMs, maxLossesOf, retryDelayMs, willRetry } from './retry.ts';
import type { AttemptRef, SettleItem, Settlement, SettleResult } from './settlement.ts';

/**
 * How attempts end.
 *
 * - J2 An attempt ends once: a report with the token of the running attempt ends it, a repeated one is answered with what was recorded,
 *   any other is refused FENCED.
 * - J3 A final job stays as it is, unless somebody asks for one more run of it (`rerun.ts`).
 *
 * An attempt that ends while its job is being stopped may still succeed: its work is done, and doing it again would be worse than late.
 */
function afterItem(
  item: SettleItem,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): JobRecord {
  if (item.kind === 'complete') return completed(item, record, running, context);
  if (item.kind === 'fail') return failed(item, record, running, context);
  return item.kind === 'lose'
    ? lost(item, record, running, context)
    : cancelled(item, record, running, context);
}

function completed(
  { result }: ItemOf<'complete'>,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): JobRecord {
  const { finishedAt, expiresGroupMs } = finished(record, context);
  return {
    ...record,
    state: 'succeeded',
    running: null,
    history: withEnd(record, running, context, 'succeeded', null),
    finishedAt,
    expiresGroupMs,
    dueGroupMs: null,
    ending: null,
    result,
    error: null,
  };
}

function failed(
  { error, result }: ItemOf<'fail'>,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): JobRecord {
  // Cancelled is said only of what no longer runs.
  const isStopped = record.state === 'cancelling' && error.code !== PROCESSES_LEFT;
  const after: JobRecord = {
    ...(isStopped
      ? interrupted(record, running, context, error)
      : ended(record, running, context, 'failed', error)),
    failureCount: record.failureCount + (isSenderFault(record, error) ? 0 : 1),
    result,
    error,
  };
  if (isStopped) return stopped(after, context);
  if (record.state === 'cancelling' || !willRetry(record, error))
    return { ...after, ...finished(record, context), state: 'dead' };
  const delayMs = retryDelayMs(record.spec.retry, after.failureCount, record.id);
  return waiting(after, Math.max(delayMs, error.retryAfterMs ?? 0), context);
}

/**
 * The attempt's node is gone, or gave it back in order, which does not count as a loss; the job is not to blame.
 *
 * - J10 A job is begun again after at most `maxLosses` losses. With 0 it is begun once: what may have begun is not begun again either when its
 *   node gives it back.
 */
function lost(
  item: ItemOf<'lose'>,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): JobRecord {
  const { reason, isHandedOver } = item;
  const error: JobError = { code: 'LOST', message: reason, retryable: true };
  const isLoss = !isHandedOver || isSecondRun(item, record, context);
  const lossCount = record.lossCount + (isLoss ? 1 : 0);
  const after: JobRecord = { ...ended(record, running, context, 'lost', error), lossCount, error };
  if (record.state === 'cancelling') return stopped(after, context);
  const maxLosses = maxLossesOf(record.spec.retry);
  const hasRules = context.version >= SINCE.maxLosses;
  if (lossCount > maxLosses) {
    const message = hasRules ? lossesExceeded(lossCount, maxLosses, reason) : reason;
    return { ...after, ...finished(record, context), state: 'dead', error: { ...error, message } };
  }
  return waiting(after, isLoss && hasRules ? lossPauseMs(lossCount) : 0, context);
}

/** J10: whether to begin what was given back might be the second time of a job that may be begun once. */
function isSecondRun({ isUnbegun }: ItemOf<'lose'>, { spec }: JobRecord, { version }: ApplyContext): boolean {
  return version >= SINCE.maxLosses && maxLossesOf(spec.retry) === 0 && isUnbegun !== true;
}

/** The worker has stopped the attempt because the job was cancelled. */
function cancelled(
  { result }: ItemOf<'cancelled'>,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): JobRecord {
  if (record.state !== 'cancelling') {
    throw new AspenError('CONFLICT', `${record.id} is ${record.state}, nobody asked to cancel it`, {
      details: { current: record.state },
    });
  }
  return stopped({ ...interrupted(record, running, context, null), result }, context);
}

/** @returns the record after an attempt that was stopped: cancelled by somebody, or failed by what the job dies of. */
function interrupted(
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
  said: JobError | null,
): JobRecord {
  const { ending } = record;
  return ending === null || context.version < SINCE.toldEndings
    ? ended(record, running, context, 'cancelled', said)
    : ended(record, running, context, 'failed', ending);
}

/** @returns the record of a job that is over because it was cancelled, or because of what it was stopped for. */
function stopped(record: JobRecord, context: ApplyContext): JobRecord {
  const over = { ...record, ...finished(record, context) };
  return record.ending === null
    ? { ...over, state: 'cancelled' }
    : { ...over, state: 'dead', error: record.ending };
}

type ItemOf<K extends SettleItem['kind']> = Extract<SettleItem, { readonly kind: K }>;

/** Many reports at once. Each has its own outcome: one that is refused harms no other. */
export function applySettle(
  { items }: { readonly items: readonly SettleItem[] },
  context: ApplyContext,
): readonly SettleResult[] {
  return items.map((item) => {
    try {
      return settleOne(item, context);
    } catch (error) {
      if (error instanceof AspenError) return { error: toWireError(error) };
      throw error;
    }
  });
}

function settleOne(item: SettleItem, context: ApplyContext): Settlement {
  const record = findRecord(context, item.jobId);
  if (record === undefined) throw new AspenError('NOT_FOUND', `no job ${item.jobId}`);
  const { running } = record;
  if (running === null || running.attempt !== item.attempt || running.fencingToken !== item.fencingToken) {
    return recorded(record, item); // J2
  }
  if (running.group !== null) return settleMember(item, record, running, running.group, context);
  return settle(item, record, running, context);
}

/** G2, G3 */
function settleMember(
  item: SettleItem,
  record: JobRecord,
  running: RunningAttempt,
  group: RunningGroup,
  context: ApplyContext,
): Settlement {
  const step = afterMember(record, running, group, item);
  if (step.kind === 'repeated') return step.settlement;
  if (step.kind === 'over') return settle(step.item, record, running, context);
  moveRecord(context, step.record, record);
  return { state: step.record.state, outcome: step.outcome };
}

function settle(
  item: SettleItem,
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
): Settlement {
  const after = afterItem(item, record, running, context);
  moveRecord(context, after, record);
  return { state: after.state, outcome: (after.history.at(-1) as AttemptRecord).outcome };
}

function recorded(record: JobRecord, { attempt, fencingToken }: AttemptRef): Settlement {
  const known = record.history.find((past) => past.attempt === attempt && past.fencingToken === fencingToken);
  if (known !== undefined && known.outcome !== 'lost') return { state: record.state, outcome: known.outcome };
  const holder =
    record.running === null ? `the job is ${record.state}` : `attempt ${record.running.attempt} holds it`;
  throw new AspenError('FENCED', `attempt ${attempt} of ${record.id} is over: ${holder}`, {
    details: { current: { state: record.state, attempt: record.attempt, isFinal: isFinal(record.state) } },
  });
}

function ended(
  record: JobRecord,
  running: RunningAttempt,
  context: ApplyContext,
  outcome: AttemptOutcome,
  error: JobError | null,
): JobRecord {
  return { ...record, running: null, history: withEnd(record, running, context, outcome, error) };
}

/** @returns the attempts of a job with one more that is over. */
function withEnd(
  { history }: JobRecord,
  { attempt, node, fencingToken, startedAt, group }: RunningAttempt,
  { wallMs }: ApplyContext,
  outcome: AttemptOutcome,
  error: JobError | null,
): readonly AttemptRecord[] {
  const alone: AttemptRecord = { attempt, node, fencingToken, startedAt, endedAt: wallMs, outcome, error };
  const past = group === null ? alone : { ...alone, nodes: group.members.map((member) => member.node) };
  if (history.length === 0) return [past];
  return [...(history.length < HISTORY_LIMIT ? history : history.slice(1 - HISTORY_LIMIT)), past];
}
