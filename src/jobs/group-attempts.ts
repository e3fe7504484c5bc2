import { AspenError, type PeerId } from '../base/index.ts';
import type { AttemptOutcome, JobRecord, RunningAttempt, RunningGroup } from './record.ts';
import type { SettleItem, Settlement } from './settlement.ts';

/** A place of a group, as the leader chose it. */
export interface GroupPlace {
  readonly peerId: string;
  readonly sessionId: string;
  /** The attached worker of that node; null for what the node runs itself. */
  readonly pool: string | null;
}

/**
 * Attempts that run on several nodes at once, one member on each.
 *
 * - G1 All or none: one command gives an attempt to all of its nodes, or to none of them.
 * - G2 A group is one attempt: it succeeds when every member has, and the first member that does not succeed decides what becomes of all.
 * - G3 It is over when each member is: the next attempt begins on no node before the last member has proven its end, or was lost.
 */
export function startGroup(places: readonly GroupPlace[]): RunningGroup {
  const members = places.map(({ peerId, sessionId, pool }) => ({
    node: peerId as PeerId,
    sessionId,
    pool,
    outcome: null,
  }));
  return { members, verdict: null, result: null };
}

/** @throws AspenError CONFLICT when these places are not what the job asks for. */
export function checkPlaces(jobId: string, wantedCount: number, places: readonly GroupPlace[]): void {
  const nodeCount = new Set(places.map(({ peerId }) => peerId)).size;
  if (places.length === wantedCount && nodeCount === wantedCount) return;
  const asked = wantedCount === 1 ? 'one node' : `${wantedCount} nodes at once`;
  throw new AspenError('CONFLICT', `${jobId} asks for ${asked}, not for ${places.length} on ${nodeCount}`); // G1
}

/** What becomes of a group when one of its members has ended. */
export type GroupStep =
  /** Others are still at it. */
  | { readonly kind: 'open'; readonly record: JobRecord; readonly outcome: AttemptOutcome }
  /** It was the last one: this is what the attempt as a whole has come to. */
  | { readonly kind: 'over'; readonly item: SettleItem }
  /** It had ended before. */
  | { readonly kind: 'repeated'; readonly settlement: Settlement };

/** @throws AspenError FENCED when there is no such member, or it was given up; CONFLICT when nobody asked it to stop. */
export function afterMember(
  record: JobRecord,
  running: RunningAttempt,
  group: RunningGroup,
  item: SettleItem,
): GroupStep {
  const rank = item.rank ?? -1;
  const member = group.members[rank];
  if (member === undefined || member.outcome === 'lost') {
    throw new AspenError(
      'FENCED',
      `member ${rank} of ${record.id} is over, attempt ${running.attempt} goes on without it`,
    );
  }
  if (member.outcome !== null)
    return { kind: 'repeated', settlement: { state: record.state, outcome: member.outcome } };
  if (item.kind === 'cancelled' && record.state === 'running' && group.verdict === null)
    throw new AspenError('CONFLICT', `${record.id} is running, nobody asked to cancel it`);
  const outcome = OUTCOMES[item.kind];
  const after: RunningGroup = {
    members: group.members.with(rank, { ...member, outcome }),
    verdict: group.verdict ?? verdictOf(item, rank, group), // G2
    result: rank === 0 && item.kind === 'complete' ? item.result : group.result,
  };
  if (after.members.some((other) => other.outcome === null))
    return { kind: 'open', record: { ...record, running: { ...running, group: after } }, outcome };
  const { jobId, attempt, fencingToken } = item;
  const ref = { jobId, attempt, fencingToken };
  return { kind: 'over', item: { ...ref, ...(after.verdict ?? { kind: 'complete', result: after.result }) } };
}

const OUTCOMES: Readonly<Record<SettleItem['kind'], AttemptOutcome>> = {
  complete: 'succeeded',
  fail: 'failed',
  lose: 'lost',
  cancelled: 'cancelled',
};

const MESSAGE_LENGTH_LIMIT = 4_096;

/** @returns what the group dies of; null for a member that has done its part. */
function verdictOf(item: SettleItem, rank: number, { members }: RunningGroup): RunningGroup['verdict'] {
  if (item.kind === 'complete') return null;
  if (item.kind === 'cancelled') return { kind: 'cancelled', result: item.result };
  const named = (told: string) =>
    `member ${rank} of ${members.length}, on ${members[rank]?.node}: ${told}`.slice(0, MESSAGE_LENGTH_LIMIT);
  if (item.kind === 'lose')
    return { kind: 'lose', reason: named(item.reason), isHandedOver: item.isHandedOver };
  return { kind: 'fail', error: { ...item.error, message: named(item.error.message) }, result: item.result };
}
