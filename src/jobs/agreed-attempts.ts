import { type PeerId, SlotList, SlotMap } from '../base/index.ts';
import type { JobRecord, RunningAttempt } from './record.ts';
import type { AttemptRef } from './settlement.ts';
import type { JobSpec } from './spec.ts';

/** An attempt that the group has given to a node, with what this leader granted it. */
export interface HeldAttempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly node: PeerId;
  readonly sessionId: string;
  readonly pool: string | null;
  /** Which member of a group it is; null where the attempt runs on one node. */
  readonly rank: number | null;
  readonly startedGroupMs: number;
  readonly hold: JobSpec['hold'];
  isCancelling: boolean;
  isLosing: boolean;
  /** When a report of its end was let in, which is not agreed yet; null before that. By this leader's monotonic clock. */
  endingMs: number | null;
  /** Longest hold granted by this leader; 0 before the first. */
  grantedHoldMs: number;
  /** When the node last listed it, by this leader's monotonic clock. */
  confirmedMs: number;
  /** When it was last sent to the node; far in the past before that. */
  sentMs: number;
  /** Its place among those of its node. */
  slot: number;
}

/** The part of a node that an attempt occupies: one of its attached workers, or null for what the node runs itself. */
type Pool = string | null;

/** What is known of one node; there is none for a node without attempts. */
class NodeAttempts {
  readonly held = new SlotList<HeldAttempt>();
  readonly counts = new Map<Pool, number>();
}

/** Follows the running attempts of all jobs, by job and by node, and counts them by node and pool. */
export class AgreedAttempts {
  /** By job, or by job and rank. */
  readonly #byJob = new SlotMap<string, HeldAttempt>();
  /** Sizes of groups that run. */
  readonly #groups = new Map<string, number>();
  readonly #byNode = new Map<PeerId, NodeAttempts>();

  get size(): number {
    return this.#byJob.size;
  }

  /** @returns undefined for a group, which has several. */
  /** @param rank of one member of a group. */
  find(jobId: string, rank?: number): HeldAttempt | undefined {
    return this.#byJob.get(rank === undefined ? jobId : memberKey(jobId, rank));
  }

  /** @returns the members of a group that are at it; none for a job that runs on one node. */
  ofGroup(jobId: string): readonly HeldAttempt[] {
    const size = this.#groups.get(jobId) ?? 0;
    return Array.from({ length: size }, (_, rank) => this.#byJob.get(memberKey(jobId, rank)) ?? []).flat();
  }

  hasGroup(jobId: string): boolean {
    return this.#groups.has(jobId);
  }

  all(): readonly HeldAttempt[] {
    return this.#byJob.values();
  }

  of(node: PeerId): readonly HeldAttempt[] {
    return this.#byNode.get(node)?.held.values() ?? [];
  }

  countOf(node: PeerId, pool: Pool): number {
    return this.#byNode.get(node)?.counts.get(pool) ?? 0;
  }

  /** Takes over what the record says now. @returns the attempt that it has, unless that is one of a group. */
  follow(record: JobRecord | undefined, jobId: string): HeldAttempt | undefined {
    const running = record?.running ?? null;
    if (this.#groups.size > 0 || running?.group) this.#followGroup(record, jobId);
    if (running?.group) return undefined;
    const known = this.#byJob.get(jobId);
    if (known !== undefined && known.fencingToken === running?.fencingToken) {
      known.isCancelling = record?.state === 'cancelling';
      return known;
    }
    if (known !== undefined) this.#forget(known);
    if (record === undefined || running === null) return undefined;
    const held = heldOf(record, running, running, null);
    this.#keep(held);
    return held;
  }

  /** A member holds its place until it has ended, whatever the others do. */
  #followGroup(record: JobRecord | undefined, jobId: string): void {
    const running = record?.running ?? null;
    const members = running?.group?.members ?? [];
    const size = Math.max(members.length, this.#groups.get(jobId) ?? 0);
    for (let rank = 0; rank < size; rank += 1) {
      const known = this.#byJob.get(memberKey(jobId, rank));
      const member = members[rank]?.outcome === null ? members[rank] : undefined;
      const isSame = member !== undefined && known?.fencingToken === running?.fencingToken;
      if (known !== undefined && !isSame) this.#forget(known);
      if (record === undefined || running === null || member === undefined) continue;
      if (known === undefined || !isSame) this.#keep(heldOf(record, running, member, rank));
      else known.isCancelling = isStopping(record, running);
    }
    if (members.length > 0) this.#groups.set(jobId, members.length);
    else this.#groups.delete(jobId);
  }

  /** Its place is free for the next one: both are agreed in this order, or neither is. */
  expectEnd({ jobId, fencingToken, rank }: AttemptRef, nowMs: number): void {
    const attempt = this.#byJob.get(rank === undefined ? jobId : memberKey(jobId, rank));
    if (attempt?.fencingToken !== fencingToken || attempt.endingMs !== null) return;
    attempt.endingMs = nowMs;
    this.#count(attempt, -1);
  }

  /** What was expected to end and has not: its report was refused, or lost. */
  expectNoLonger(sinceMs: number): void {
    for (const attempt of this.#byJob.values()) {
      if (attempt.endingMs === null || attempt.endingMs > sinceMs) continue;
      attempt.endingMs = null;
      this.#count(attempt, 1);
    }
  }

  /** Counts places that were planned and are not agreed yet. */
  reserve(place: Pick<HeldAttempt, 'node' | 'pool'>, by: 1 | -1): void {
    this.#count(place, by);
  }

  #keep(attempt: HeldAttempt): void {
    this.#byJob.set(keyOf(attempt), attempt);
    attempt.slot = this.#of(attempt.node).held.add(attempt);
    this.#count(attempt, 1);
  }

  #forget(attempt: HeldAttempt): void {
    this.#byJob.delete(keyOf(attempt));
    const ofNode = this.#of(attempt.node);
    ofNode.held.remove(attempt.slot);
    if (attempt.endingMs === null) this.#count(attempt, -1);
    else this.#dropIfEmpty(attempt.node, ofNode);
  }

  #count({ node, pool }: Pick<HeldAttempt, 'node' | 'pool'>, by: 1 | -1): void {
    const ofNode = this.#of(node);
    const count = (ofNode.counts.get(pool) ?? 0) + by;
    if (count !== 0) {
      ofNode.counts.set(pool, count);
      return;
    }
    ofNode.counts.delete(pool);
    this.#dropIfEmpty(node, ofNode);
  }

  #of(node: PeerId): NodeAttempts {
    const known = this.#byNode.get(node);
    if (known !== undefined) return known;
    const made = new NodeAttempts();
    this.#byNode.set(node, made);
    return made;
  }

  #dropIfEmpty(node: PeerId, { held, counts }: NodeAttempts): void {
    if (held.size === 0 && counts.size === 0) this.#byNode.delete(node);
  }
}

function heldOf(
  record: JobRecord,
  running: RunningAttempt,
  { node, sessionId, pool }: Pick<RunningAttempt, 'node' | 'sessionId' | 'pool'>,
  rank: number | null,
): HeldAttempt {
  return {
    jobId: record.id,
    attempt: running.attempt,
    fencingToken: running.fencingToken,
    node,
    sessionId,
    pool,
    rank,
    startedGroupMs: running.startedGroupMs,
    hold: record.spec.hold,
    isCancelling: isStopping(record, running),
    isLosing: false,
    endingMs: null,
    grantedHoldMs: 0,
    confirmedMs: Number.NEGATIVE_INFINITY,
    sentMs: Number.NEGATIVE_INFINITY,
    slot: -1,
  };
}

/** The members of a group are stopped as well when one of them did not succeed. */
function isStopping({ state }: JobRecord, { group }: RunningAttempt): boolean {
  return state === 'cancelling' || (group !== null && group.verdict !== null);
}

function keyOf({ jobId, rank }: HeldAttempt): string {
  return rank === null ? jobId : memberKey(jobId, rank);
}

function memberKey(jobId: string, rank: number): string {
  return `${jobId}\u0000${rank}`;
}
