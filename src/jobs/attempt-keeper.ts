import { Batcher, type Clock, type Logger, type PeerId, roughBytes } from '../base/index.ts';
import type { Leadership, SessionKeeper } from '../lease/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { AgreedAttempts, type HeldAttempt } from './agreed-attempts.ts';
import { holdMs } from './holds.ts';
import type { PlannedAssignment } from './plan.ts';
import type { JobRecord } from './record.ts';
import { findRecord } from './record-store.ts';
import type { AttemptRef, SettleItem, SettleResult } from './settlement.ts';
import { toldSpec } from './told-spec.ts';
import { type Assignment, METHODS, type Orders, type WorkerReport } from './wire.ts';

export interface AttemptKeeperComponents {
  readonly leadership: Leadership;
  readonly sessions: Pick<SessionKeeper, 'find'>;
  readonly messenger: Pick<Messenger, 'send'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An assignment that was sent so recently may be on its way still. Unit: ms. */
const RESEND_AFTER_MS = 250;
/** A message of assignments ends with the one that exceeds it: with the largest payload it still fits a frame. Unit: bytes, about. */
const PIECE_BYTES = 2 ** 19;
/** About what one loss adds to a command. */
const LOSS_BYTES = 512;
/** A report that is not agreed after so long has most likely come to nothing. Unit: ms. */
const EXPECTED_END_MS = 1_000;

/**
 * Watches over the attempts that the group has given to nodes, while this node leads.
 *
 * - P3 What a node holds is compared with what is agreed at every report: what is missing is sent again, what is not agreed is aborted.
 * - P4 An attempt is given up when the hold that was granted at the latest renewal has passed (H1), when its node came back without it,
 *   or when its node is no member any more. A session that was closed does not shorten a hold. Whoever reports while that is on its way into
 *   the log is too late: nothing is granted any more.
 */
export class AttemptKeeper {
  readonly #components: AttemptKeeperComponents;
  readonly #agreed = new AgreedAttempts();
  readonly #startedMs: number;
  readonly #losses: Batcher<SettleItem, SettleResult>;

  constructor(components: AttemptKeeperComponents) {
    this.#components = components;
    this.#startedMs = components.clock.monotonicMs();
    this.#losses = new Batcher((items) => this.#propose(items), { itemsLimit: 1_000, bytesLimit: 2 ** 19 });
  }

  get size(): number {
    return this.#agreed.size;
  }

  /** @param pool an attached worker of the node; null for what the node runs itself. */
  countOf(node: PeerId, pool: string | null): number {
    return this.#agreed.countOf(node, pool);
  }

  /** The agreed attempt of this name; undefined for any that is over. */
  find({ jobId, fencingToken, rank }: AttemptRef): HeldAttempt | undefined {
    const held = this.#agreed.find(jobId, rank);
    return held?.fencingToken === fencingToken ? held : undefined;
  }

  /** P2: reports that are on their way into the log free their places already. */
  expectEnds(items: readonly AttemptRef[]): void {
    const nowMs = this.#components.clock.monotonicMs();
    for (const item of items) this.#agreed.expectEnd(item, nowMs);
  }

  /** P2: counts what is planned and not agreed yet. */
  reserve(places: readonly PlannedAssignment[], by: 1 | -1): void {
    for (const { peerId, pool, others } of places) {
      this.#agreed.reserve({ node: peerId, pool }, by);
      for (const other of others ?? []) this.#agreed.reserve({ node: other.peerId, pool: other.pool }, by);
    }
  }

  /** Takes over what the record of a job says now. */
  follow(record: JobRecord | undefined, jobId: string): void {
    if (record?.running?.group || this.#agreed.hasGroup(jobId)) this.#followGroup(record, jobId);
    else this.#followOne(record, jobId);
  }

  /** G2: when one member did not succeed the others are told to stop. */
  #followGroup(record: JobRecord | undefined, jobId: string): void {
    const stoppedBefore = new Map(this.#agreed.ofGroup(jobId).map((held) => [held, held.isCancelling]));
    this.#agreed.follow(record, jobId);
    for (const held of this.#agreed.ofGroup(jobId)) {
      const wasStopped = stoppedBefore.get(held);
      if (wasStopped === undefined) held.grantedHoldMs = this.#holdNowMs(held);
      else if (!wasStopped && held.isCancelling) this.#sendAbort(held, 'cancelled');
    }
  }

  #followOne(record: JobRecord | undefined, jobId: string): void {
    const held = this.#agreed.follow(record, jobId);
    if (held === undefined) return;
    if (held.grantedHoldMs === 0) held.grantedHoldMs = this.#holdNowMs(held);
    else if (held.isCancelling) this.#sendAbort(held, 'cancelled');
  }

  /** Tells nodes at once what they were given. */
  push(jobIds: readonly string[]): void {
    const { messenger } = this.#components;
    const byNode = new Map<PeerId, Assignment[]>();
    for (const id of jobIds) {
      const held = this.#agreed.find(id);
      for (const attempt of held === undefined ? this.#agreed.ofGroup(id) : [held]) {
        const assignment = this.#assignmentOf(attempt);
        if (assignment === undefined) continue;
        const given = byNode.get(attempt.node);
        if (given === undefined) byNode.set(attempt.node, [assignment]);
        else given.push(assignment);
      }
    }
    for (const [node, assignments] of byNode) {
      for (const fitting of inPieces(assignments)) {
        messenger.send(node, METHODS.assign, { assignments: fitting }, 'control');
      }
    }
  }

  /** P3. @returns the orders for the node. */
  reconcile(peerId: PeerId, sessionId: string, report: WorkerReport): Orders {
    const nowMs = this.#components.clock.monotonicMs();
    const listed = new Map(report.attempts.map((ref) => [ref.jobId, ref]));
    const orders: Orders = { assign: [], abort: [], holds: [] };
    const missing: HeldAttempt[] = [];
    for (const attempt of this.#agreed.of(peerId)) {
      const isListed = listed.get(attempt.jobId)?.fencingToken === attempt.fencingToken;
      if (isListed) listed.delete(attempt.jobId);
      if (attempt.isLosing) continue; // H1: given up already, though not agreed yet
      if (isListed) {
        orders.holds.push({ ...refOf(attempt), holdMs: this.#grant(attempt, nowMs) });
        if (attempt.isCancelling) orders.abort.push({ ...refOf(attempt), reason: 'cancelled' });
      } else if (attempt.sessionId !== sessionId) this.#lose(attempt, 'its node came back without it');
      else if (attempt.isCancelling) orders.abort.push({ ...refOf(attempt), reason: 'cancelled' });
      else if (nowMs - attempt.sentMs > RESEND_AFTER_MS) missing.push(attempt);
    }
    for (const ref of listed.values()) orders.abort.push({ ...ref, reason: 'lost' });
    return { ...orders, assign: this.#thatFit(missing) };
  }

  /** P4 */
  sweep(): void {
    const nowMs = this.#components.clock.monotonicMs();
    this.#agreed.expectNoLonger(nowMs - EXPECTED_END_MS);
    for (const attempt of this.#agreed.all()) {
      const heardMs = this.#heardMs(attempt);
      if (nowMs - Math.max(heardMs, attempt.sentMs) >= attempt.grantedHoldMs) {
        this.#lose(attempt, `its node was silent for ${Math.round(nowMs - heardMs)} ms`);
      }
    }
  }

  /** P4 */
  loseAllOf(node: PeerId, reason: string): void {
    for (const attempt of this.#agreed.of(node)) this.#lose(attempt, reason);
  }

  #heardMs({ node, confirmedMs }: HeldAttempt): number {
    const renewedMs = this.#components.sessions.find(node)?.lastRenewalMs ?? Number.NEGATIVE_INFINITY;
    return Math.max(renewedMs, confirmedMs, this.#startedMs);
  }

  /** H1: what the node is told in the answer is what this leader keeps to. */
  #grant(attempt: HeldAttempt, nowMs: number): number {
    attempt.grantedHoldMs = Math.max(attempt.grantedHoldMs, this.#holdNowMs(attempt));
    attempt.confirmedMs = nowMs;
    return attempt.grantedHoldMs;
  }

  /** H2: by agreed group time, which every later leader begins with. */
  #holdNowMs({ hold, startedGroupMs }: HeldAttempt): number {
    const agreedMs = this.#components.leadership.read(({ module }) => module('jobs').groupMs);
    return holdMs(hold, agreedMs - startedGroupMs);
  }

  /** What is sent again with one answer: as many as fit, at least one; the others with the next. */
  #thatFit(attempts: readonly HeldAttempt[]): Assignment[] {
    const assign: Assignment[] = [];
    let bytes = 0;
    for (const attempt of attempts) {
      if (bytes >= PIECE_BYTES) break;
      const assignment = this.#assignmentOf(attempt);
      if (assignment === undefined) continue;
      assign.push(assignment);
      bytes += bytesOf(assignment);
    }
    return assign;
  }

  #assignmentOf(attempt: HeldAttempt): Assignment | undefined {
    const record = this.#record(attempt.jobId);
    if (record === undefined) return undefined;
    const { type, payload, timeoutMs, heartbeatTimeoutMs, traceparent, hold } = record.spec;
    attempt.sentMs = this.#components.clock.monotonicMs();
    const { jobId, attempt: number, fencingToken, rank, sessionId, pool } = attempt;
    const assignment: Assignment = {
      jobId,
      attempt: number,
      fencingToken,
      sessionId,
      pool,
      type,
      payload,
      timeoutMs,
      heartbeatTimeoutMs,
      traceparent,
      holdMs: holdMs(hold, 0),
    };
    if (rank !== null) assignment.rank = rank;
    const rest = pool === null ? undefined : toldSpec(record.spec);
    if (rest !== undefined) assignment.rest = rest;
    const members = record.running?.group?.members;
    return members === undefined ? assignment : { ...assignment, peers: members.map(({ node }) => node) };
  }

  #record(id: string): JobRecord | undefined {
    return this.#components.leadership.read(({ module }) => findRecord(module('jobs'), id));
  }

  #lose(attempt: HeldAttempt, reason: string): void {
    if (attempt.isLosing) return;
    attempt.isLosing = true;
    const { log } = this.#components;
    const ref = refOf(attempt);
    log.info({ ...ref, node: attempt.node, reason }, 'attempt is lost');
    const refused = (err: unknown) => {
      attempt.isLosing = false;
      log.debug({ err, ...ref }, 'attempt not given up, will try again');
    };
    this.#losses
      .add({ kind: 'lose', ...ref, reason, isHandedOver: false }, LOSS_BYTES)
      .then((result) => 'error' in result && refused(result.error), refused);
  }

  #propose(items: readonly SettleItem[]): Promise<readonly SettleResult[]> {
    return this.#components.leadership.propose({ module: 'jobs', kind: 'settle', body: { items } });
  }

  #sendAbort(attempt: HeldAttempt, reason: 'cancelled' | 'lost'): void {
    const attempts = [{ ...refOf(attempt), reason }];
    this.#components.messenger.send(attempt.node, METHODS.abort, { attempts }, 'control');
  }
}

function refOf({ jobId, attempt, fencingToken, rank }: HeldAttempt): AttemptRef {
  return rank === null ? { jobId, attempt, fencingToken } : { jobId, attempt, fencingToken, rank };
}

/** Cuts what goes to one node into messages that fit a frame. */
function inPieces(assignments: readonly Assignment[]): Assignment[][] {
  const pieces: Assignment[][] = [];
  let bytes = PIECE_BYTES;
  for (const assignment of assignments) {
    if (bytes >= PIECE_BYTES) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(assignment);
    bytes += bytesOf(assignment);
  }
  return pieces;
}

function bytesOf({ payload, rest }: Assignment): number {
  return rest === undefined ? roughBytes(payload) : roughBytes(payload) + roughBytes(rest);
}
