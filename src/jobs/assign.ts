import { AspenError, type PeerId, toWireError, type WireError } from '../base/index.ts';
import { checkPlaces, type GroupPlace, startGroup } from './group-attempts.ts';
import { DELIVERY_TYPE } from './hooks/deliveries.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import type { JobRecord, RunningAttempt } from './record.ts';
import { findRecord, putRecord } from './record-store.ts';
import type { JobSpec } from './spec.ts';
import type { Buckets } from './start-rules.ts';
import { heldBack, spendStart } from './starts.ts';

export interface AssignItem {
  readonly jobId: string;
  readonly peerId: string;
  readonly sessionId: string;
  /** The attached worker of that node; null for what the node runs itself. */
  readonly pool: string | null;
  /** Where a group runs beside, from rank 1 on; absent for a job that runs on one node. */
  readonly others?: readonly GroupPlace[] | undefined;
}

export type AssignResult =
  | { readonly jobId: string; readonly running: RunningAttempt }
  | { readonly jobId: string; readonly error: WireError };

/**
 * Gives queued jobs to nodes. Each item has its own outcome.
 *
 * - J5 The fencing token is the position of the assignment: tokens of one job only grow, also after a recovery.
 * - J6 Only a node with an open session is given work.
 * - Q3, Q4, Q5, E4 A start that a limit forbids is refused here, whatever the leader believed.
 */
export function applyAssign(
  { assignments }: { readonly assignments: readonly AssignItem[] },
  context: ApplyContext,
): readonly AssignResult[] {
  return assignments.map((item) => {
    try {
      checkSession(item, context); // J6
      for (const place of item.others ?? []) checkSession(place, context); // G1
      return { jobId: item.jobId, running: assignOne(item, context) };
    } catch (error) {
      if (error instanceof AspenError) return { jobId: item.jobId, error: toWireError(error) };
      throw error;
    }
  });
}

/** J6: called when a session was opened or closed. */
export function forgetSessions(_fact: unknown, context: ApplyContext): void {
  context.derived<LiveIndex>().sessions.clear();
}

function sessionOf(peerId: string, context: ApplyContext): string | undefined {
  const { sessions } = context.derived<LiveIndex>();
  const known = sessions.get(peerId);
  if (known !== undefined) return known;
  const open = context.read<{ readonly sessionId: string }>('sessions', 'sessions').get(textKey(peerId));
  if (open !== undefined) sessions.set(peerId, open.sessionId);
  return open?.sessionId;
}

function checkSession(
  { peerId, sessionId }: Pick<AssignItem, 'peerId' | 'sessionId'>,
  context: ApplyContext,
): void {
  if (sessionOf(peerId, context) === sessionId) return;
  throw new AspenError('CONFLICT', `${peerId} holds no session ${sessionId}`);
}

function assignOne(item: AssignItem, context: ApplyContext): RunningAttempt {
  const { jobId, peerId, sessionId, pool, others = [] } = item;
  const record = findRecord(context, jobId);
  if (record === undefined) throw new AspenError('NOT_FOUND', `no job ${jobId}`);
  if (record.state !== 'queued') {
    throw new AspenError('CONFLICT', `${jobId} is ${record.state}, not queued`, {
      details: { current: record.state },
    });
  }
  const { group } = record.spec;
  if (group !== null || others.length > 0) checkPlaces(jobId, group?.nodes ?? 1, [item, ...others]);
  takeStart(record.spec, context); // Q3, Q4, Q5, E4
  const running: RunningAttempt = {
    attempt: record.attempt + 1,
    node: peerId as PeerId,
    sessionId,
    pool,
    fencingToken: context.position, // J5
    startedAt: context.wallMs,
    startedGroupMs: context.groupMs,
    group: group === null ? null : startGroup([item, ...others]),
  };
  const after: JobRecord = {
    ...record,
    state: 'running',
    attempt: running.attempt,
    running,
    dueGroupMs: null,
  };
  putRecord(context, after, record);
  return running;
}

/** @throws AspenError CONFLICT when the job is held back. */
function takeStart(spec: JobSpec, context: ApplyContext): void {
  const { limits, hooks, tallies } = context.derived<LiveIndex>();
  if (limits.size === 0 && spec.type !== DELIVERY_TYPE) return;
  const buckets = context.table('buckets') as Buckets;
  const { groupMs } = context;
  const held = heldBack(spec, { limits, hooks, running: tallies, buckets, groupMs });
  if (held !== undefined) throw new AspenError('CONFLICT', held.reason, { details: { heldBy: held.by } });
  spendStart(spec, limits, buckets, groupMs);
}
