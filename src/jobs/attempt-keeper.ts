import type { Clock, Logger, PeerId } from '../base/index.ts';
import type { Leadership, SessionKeeper } from '../lease/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { AgreedAttempts, type HeldAttempt } from './agreed-attempts.ts';
import { holdMs, UNTOLD_GROUP_MS } from './holds.ts';
import type { JobRecord } from './record.ts';
import { findRecord } from './record-index.ts';
import type { AttemptRef } from './settle.ts';
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

/**
 * Watches over the attempts that the group has given to nodes, while this node leads.
 *
 * - P3 What a node holds is compared with what is agreed at every report: what is missing is sent again, what is not agreed is aborted.
 * - P4 An attempt is given up when the hold that was granted at the latest renewal has passed (H1), when its node came back without it,
 *   or when its node is no member any more. A session that was closed does not shorten a hold.
 */
export class AttemptKeeper {
  readonly #components: AttemptKeeperComponents;
  readonly #agreed = new AgreedAttempts();
  readonly #startedMs: number;

  constructor(components: AttemptKeeperComponents) {
    this.#components = components;
    this.#startedMs = components.clock.monotonicMs();
  }

  get size(): number {
    return this.#agreed.size;
  }

  countOf(node: PeerId): number {
    return this.#agreed.countOf(node);
  }

  /** Takes over what the record of a job says now. */
  follow(record: JobRecord | undefined, jobId: string): void {
    const held = this.#agreed.find(jobId);
    this.#agreed.follow(record, jobId);
    if (record?.state === 'cancelling' && held !== undefined) this.#sendAbort(held, 'cancelled');
  }

  /** Tells nodes at once what they were given. */
  push(jobIds: readonly string[]): void {
    const { messenger } = this.#components;
    const attempts = jobIds.flatMap((id) => this.#agreed.find(id) ?? []);
    for (const [node, given] of Map.groupBy(attempts, (attempt) => attempt.node)) {
      messenger.send(node, METHODS.assign, { assignments: this.#assignmentsOf(given) }, 'control');
    }
  }

  /** P3. @returns the orders for the node. */
  reconcile(peerId: PeerId, sessionId: string, report: WorkerReport): Orders {
    const nowMs = this.#components.clock.monotonicMs();
    const listed = new Map(report.attempts.map((ref) => [ref.jobId, ref]));
    const orders: Orders = { assign: [], abort: [], holds: [] };
    for (const attempt of this.#agreed.of(peerId)) {
      if (listed.get(attempt.jobId)?.fencingToken === attempt.fencingToken) {
        listed.delete(attempt.jobId);
        orders.holds.push({ ...refOf(attempt), holdMs: this.#grant(attempt, nowMs) });
        if (attempt.isCancelling) orders.abort.push({ ...refOf(attempt), reason: 'cancelled' });
      } else if (attempt.sessionId !== sessionId) this.#lose(attempt, 'its node came back without it');
      else if (nowMs - attempt.sentMs <= RESEND_AFTER_MS) continue;
      else if (attempt.isCancelling) this.#lose(attempt, 'its node does not run it');
      else orders.assign.push(...this.#assignmentsOf([attempt]));
    }
    for (const ref of listed.values()) orders.abort.push({ ...ref, reason: 'lost' });
    return orders;
  }

  /** P4 */
  sweep(): void {
    const nowMs = this.#components.clock.monotonicMs();
    for (const attempt of this.#agreed.all()) {
      const heardMs = this.#heardMs(attempt);
      const runMs = this.#runMs(attempt) - (nowMs - heardMs) + (isConfirmed(attempt) ? 0 : UNTOLD_GROUP_MS);
      const hold = Math.max(attempt.grantedHoldMs, holdMs(attempt.hold, runMs));
      if (nowMs - Math.max(heardMs, attempt.sentMs) >= hold) {
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

  #runMs({ startedGroupMs }: HeldAttempt): number {
    return this.#components.leadership.groupMs() - startedGroupMs;
  }

  /** H1: what the node is told in the answer is what this leader keeps to. */
  #grant(attempt: HeldAttempt, nowMs: number): number {
    attempt.grantedHoldMs = Math.max(attempt.grantedHoldMs, holdMs(attempt.hold, this.#runMs(attempt)));
    attempt.confirmedMs = nowMs;
    return attempt.grantedHoldMs;
  }

  #assignmentsOf(attempts: readonly HeldAttempt[]): Assignment[] {
    const nowMs = this.#components.clock.monotonicMs();
    return attempts.flatMap((attempt) => {
      const record = this.#record(attempt.jobId);
      if (record === undefined) return [];
      const { type, payload, timeoutMs, traceparent, hold } = record.spec;
      const shortestMs = holdMs(hold, 0);
      attempt.sentMs = nowMs;
      attempt.grantedHoldMs = Math.max(attempt.grantedHoldMs, shortestMs);
      const { sessionId } = attempt;
      const given = { type, payload, timeoutMs, traceparent, holdMs: shortestMs };
      return [{ ...refOf(attempt), sessionId, ...given }];
    });
  }

  #record(id: string): JobRecord | undefined {
    return this.#components.leadership.read(({ module }) => findRecord(module('jobs'), id));
  }

  #lose(attempt: HeldAttempt, reason: string): void {
    if (attempt.isLosing) return;
    attempt.isLosing = true;
    const { leadership, log } = this.#components;
    const ref = refOf(attempt);
    log.info({ ...ref, node: attempt.node, reason }, 'attempt is lost');
    leadership.propose({ module: 'jobs', kind: 'lose', body: { ...ref, reason } }).catch((err: unknown) => {
      attempt.isLosing = false;
      log.debug({ err, ...ref }, 'attempt not given up, will try again');
    });
  }

  #sendAbort(attempt: HeldAttempt, reason: 'cancelled' | 'lost'): void {
    const attempts = [{ ...refOf(attempt), reason }];
    this.#components.messenger.send(attempt.node, METHODS.abort, { attempts }, 'control');
  }
}

function refOf({ jobId, attempt, fencingToken }: HeldAttempt): AttemptRef {
  return { jobId, attempt, fencingToken };
}

function isConfirmed({ confirmedMs }: HeldAttempt): boolean {
  return confirmedMs > Number.NEGATIVE_INFINITY;
}
