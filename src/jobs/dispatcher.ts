import { z } from 'zod';
import { explain, type NodeRole, type NodeView } from '../affinity/index.ts';
import { type Clock, every, type Logger, type PeerId, type Random } from '../base/index.ts';
import type { KeptSession, Leadership, SessionKeeper } from '../lease/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { AgreedAttempts, type HeldAttempt } from './agreed-attempts.ts';
import type { AssignResult } from './assign.ts';
import { holdMs } from './holds.ts';
import { Lines } from './lines.ts';
import { type Fact, keyNumber } from './machine-port.ts';
import { type PlannedAssignment, placementOf, planAssignments } from './plan.ts';
import { resolveRecord } from './queries.ts';
import { isFinal, type JobRecord } from './record.ts';
import { findRecord, readyKey } from './record-index.ts';
import { type Assignment, METHODS, type Orders, reportSchema, type WorkerReport } from './wire.ts';

export interface DispatcherComponents {
  readonly leadership: Leadership;
  readonly sessions: Pick<SessionKeeper, 'onReport' | 'sessions' | 'find' | 'onChange'>;
  readonly messenger: Pick<Messenger, 'send' | 'self'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The role in a node's certificate; undefined for no member. */
  readonly roleOf: (peerId: PeerId) => NodeRole | undefined;
}

const SWEEP_MS = 250;
const PLAN_LIMIT = 1_000;
const UPKEEP_MS = 200;

/**
 * Gives waiting jobs to willing nodes, and takes them back from silent ones, while this node leads. It owns no truth: what it
 * proposes is guarded in `apply`, and a new leader's dispatcher rebuilds everything by a scan.
 *
 * - P1 Nobody polls: facts and reports trigger a plan, a plan is one command, its outcome is pushed to the nodes at once.
 * - P2 A node is given no more attempts than the slots it reported, counted by the agreed attempts, and none while it is suspect.
 * - P3 What a node holds is compared with what is agreed at every report: what is missing is sent again, what is not agreed is aborted.
 * - P4 An attempt is given up when the hold that was granted at the latest renewal has passed (H1).
 */
export class Dispatcher implements Disposable {
  readonly #components: DispatcherComponents;
  readonly #lines = new Lines();
  readonly #agreed: AgreedAttempts;
  readonly #reports = new Map<PeerId, WorkerReport & { readonly sessionId: string }>();
  readonly #startedMs: number;
  readonly #parts: readonly Disposable[];
  #isPlanning = false;
  #isPlanWanted = false;

  constructor(components: DispatcherComponents) {
    const { leadership, sessions, clock } = components;
    this.#components = components;
    this.#startedMs = clock.monotonicMs();
    this.#agreed = new AgreedAttempts();
    this.#rebuild();
    sessions.onReport((peerId, sessionId, report) => this.#onReport(peerId, sessionId, report));
    leadership.serve('jobs/explain', ({ body }) => this.#explain(body));
    this.#parts = [
      leadership.onFacts((facts) => this.#onFacts(facts)),
      sessions.onChange((session) => this.#onSession(session)),
      every(clock, SWEEP_MS, () => this.#sweep()),
      every(clock, UPKEEP_MS, () => this.#upkeep()),
    ];
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
  }

  #rebuild(): void {
    this.#components.leadership.read(({ module }) => {
      const jobs = module('jobs');
      for (const [key, id] of jobs.table<string>('ready').range({})) {
        const record = findRecord(jobs, id);
        if (record !== undefined) this.#lines.add({ id, key }, placementOf(record.spec));
      }
      for (const [, id] of jobs.table<string>('running').range({}))
        this.#agreed.follow(findRecord(jobs, id), id);
    });
  }

  #record(id: string): JobRecord | undefined {
    return this.#components.leadership.read(({ module }) => findRecord(module('jobs'), id));
  }

  #onFacts(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.module !== 'jobs') continue;
      const id = fact['id'] as string;
      const record = this.#record(id);
      const held = this.#agreed.find(id);
      this.#agreed.follow(record, id);
      if (record?.state === 'queued')
        this.#lines.add({ id, key: readyKey(record) }, placementOf(record.spec));
      if (record !== undefined && fact['before'] === 'queued' && record.state !== 'queued') {
        this.#lines.remove({ id, key: readyKey(record) }, placementOf(record.spec));
      }
      if (record?.state === 'cancelling' && held !== undefined) this.#sendAbort(held, 'cancelled');
    }
    this.#wantPlan();
  }

  #onSession({ peerId }: KeptSession): void {
    if (this.#components.sessions.find(peerId) === undefined) this.#reports.delete(peerId);
    this.#wantPlan();
  }

  /** P3. @returns the orders for the node. */
  #onReport(peerId: PeerId, sessionId: string, foreign: unknown): Orders {
    const report = reportSchema.parse(foreign);
    this.#reports.set(peerId, { ...report, sessionId });
    const nowMs = this.#components.clock.monotonicMs();
    const held = new Map(report.attempts.map((ref) => [ref.jobId, ref]));
    const orders: Orders = { assign: [], abort: [], holds: [] };
    for (const attempt of this.#agreed.of(peerId)) {
      const ref = { jobId: attempt.jobId, attempt: attempt.attempt, fencingToken: attempt.fencingToken };
      const isHeld = held.get(attempt.jobId)?.fencingToken === attempt.fencingToken;
      if (isHeld) {
        held.delete(attempt.jobId);
        this.#grant(attempt, nowMs);
        orders.holds.push({ ...ref, holdMs: attempt.grantedHoldMs });
        if (attempt.isCancelling) orders.abort.push({ ...ref, reason: 'cancelled' });
      } else if (attempt.sessionId !== sessionId) this.#lose(attempt, 'its node came back without it');
      else if (attempt.isCancelling) this.#lose(attempt, 'its node does not run it');
      else if (nowMs - attempt.sentMs > SWEEP_MS)
        orders.assign.push(...this.#assignmentsOf([attempt], nowMs));
    }
    for (const ref of held.values()) orders.abort.push({ ...ref, reason: 'lost' });
    this.#wantPlan();
    return orders;
  }

  /** H1: what the node is told in the answer is what this leader keeps to. */
  #grant(attempt: HeldAttempt, nowMs: number): void {
    const runMs = this.#components.leadership.groupMs() - attempt.startedGroupMs;
    attempt.grantedHoldMs = Math.max(attempt.grantedHoldMs, holdMs(attempt.hold, runMs));
    attempt.confirmedMs = nowMs;
  }

  /** P4 */
  #sweep(): void {
    const nowMs = this.#components.clock.monotonicMs();
    for (const attempt of this.#agreed.all()) {
      const session = this.#components.sessions.find(attempt.node);
      const heardMs = session?.lastRenewalMs ?? this.#startedMs;
      const runMs = this.#components.leadership.groupMs() - attempt.startedGroupMs - (nowMs - heardMs);
      const hold = Math.max(attempt.grantedHoldMs, holdMs(attempt.hold, runMs));
      if (nowMs - Math.max(heardMs, attempt.sentMs) >= hold)
        this.#lose(attempt, `its node was silent for ${Math.round(nowMs - heardMs)} ms`);
    }
    this.#wantPlan();
  }

  #lose(attempt: HeldAttempt, reason: string): void {
    if (attempt.isLosing) return;
    attempt.isLosing = true;
    const { jobId, attempt: number, fencingToken, node } = attempt;
    const { leadership, log } = this.#components;
    log.info({ jobId, attempt: number, node, reason }, 'attempt is lost');
    leadership
      .propose({ module: 'jobs', kind: 'lose', body: { jobId, attempt: number, fencingToken, reason } })
      .catch((err: unknown) => {
        attempt.isLosing = false;
        log.debug({ err, jobId }, 'attempt not given up, will try again');
      });
  }

  /** Coalesces: one plan is under way at a time, and one more follows if anything happened meanwhile. */
  #wantPlan(): void {
    this.#isPlanWanted = true;
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    queueMicrotask(() => {
      this.#planWhileWanted()
        .catch((err: unknown) => this.#components.log.debug({ err }, 'plan not agreed'))
        .finally(() => {
          this.#isPlanning = false;
        });
    });
  }

  async #planWhileWanted(): Promise<void> {
    const { leadership } = this.#components;
    while (this.#isPlanWanted && !leadership.signal.aborted) {
      this.#isPlanWanted = false;
      const planned = this.#plan();
      if (planned.length > 0) await this.#assign(planned);
    }
  }

  #plan(): PlannedAssignment[] {
    const { clock, random } = this.#components;
    if (this.#lines.size === 0) return [];
    return planAssignments(this.#lines.all(), this.#nodeViews(), {
      limit: PLAN_LIMIT,
      nowMs: clock.monotonicMs(),
      seed: random.uint32(),
    });
  }

  /** P2 */
  #nodeViews(): NodeView[] {
    const views: NodeView[] = [];
    for (const [peerId, report] of this.#reports) {
      const session = this.#components.sessions.find(peerId);
      const role = this.#components.roleOf(peerId);
      if (session === undefined || role === undefined) continue;
      views.push({
        peerId,
        role,
        labels: report.labels,
        types: report.types,
        totalSlots: report.slots,
        freeSlots: Math.max(0, report.slots - this.#agreed.countOf(peerId)),
        isSuspect: session.isSuspect || session.sessionId !== report.sessionId,
        isDraining: report.isDraining,
      });
    }
    return views.sort((left, right) => (left.peerId < right.peerId ? -1 : 1));
  }

  async #assign(planned: readonly PlannedAssignment[]): Promise<void> {
    const { leadership, log } = this.#components;
    const assignments = planned.map(({ job, peerId }) => ({
      jobId: job.id,
      peerId,
      sessionId: this.#reports.get(peerId)?.sessionId ?? '',
    }));
    let results: readonly AssignResult[];
    try {
      results = await leadership.propose<readonly AssignResult[]>({
        module: 'jobs',
        kind: 'assign',
        body: { assignments },
      });
    } catch (error) {
      for (const { job, line } of planned) line.queue.add(job);
      throw error;
    }
    for (const [at, result] of results.entries()) {
      if (!('error' in result)) continue;
      log.debug({ jobId: result.jobId, code: result.error.code }, 'assignment refused');
      const { job, line } = planned[at] as PlannedAssignment;
      if (this.#record(job.id)?.state === 'queued') line.queue.add(job);
    }
    this.#push(results.flatMap((result) => ('running' in result ? [result.jobId] : [])));
  }

  #push(jobIds: readonly string[]): void {
    const { messenger, clock } = this.#components;
    const byNode = Map.groupBy(
      jobIds.flatMap((id) => this.#agreed.find(id) ?? []),
      ({ node }) => node,
    );
    for (const [node, attempts] of byNode) {
      const assignments = this.#assignmentsOf(attempts, clock.monotonicMs());
      messenger.send(node, METHODS.assign, { assignments }, 'control');
    }
  }

  #assignmentsOf(attempts: readonly HeldAttempt[], nowMs: number): Assignment[] {
    return attempts.flatMap((attempt) => {
      const record = this.#record(attempt.jobId);
      if (record === undefined) return [];
      attempt.sentMs = nowMs;
      const { type, payload, timeoutMs, traceparent, hold } = record.spec;
      const { jobId, attempt: number, fencingToken, sessionId } = attempt;
      attempt.grantedHoldMs = Math.max(attempt.grantedHoldMs, holdMs(hold, 0));
      return [
        {
          jobId,
          attempt: number,
          fencingToken,
          sessionId,
          type,
          payload,
          timeoutMs,
          traceparent,
          holdMs: holdMs(hold, 0),
        },
      ];
    });
  }

  #sendAbort({ jobId, attempt, fencingToken, node }: HeldAttempt, reason: 'cancelled' | 'lost'): void {
    this.#components.messenger.send(
      node,
      METHODS.abort,
      { attempts: [{ jobId, attempt, fencingToken, reason }] },
      'control',
    );
  }

  /** Proposes what group time has made due. */
  #upkeep(): void {
    const { leadership, log } = this.#components;
    const nowMs = leadership.groupMs();
    const due = leadership.read(({ module }) => {
      const jobs = module('jobs');
      return { release: firstNumber(jobs, 'due') <= nowMs, purge: firstNumber(jobs, 'expiring') <= nowMs };
    });
    for (const kind of ['release', 'purge'] as const) {
      if (!due[kind]) continue;
      leadership
        .propose({ module: 'jobs', kind, body: null })
        .catch((err: unknown) => log.debug({ err, kind }, 'upkeep not agreed, will try again'));
    }
  }

  #explain(body: unknown) {
    const { id } = z.object({ id: z.string() }).parse(body);
    const record = this.#components.leadership.read(({ module }) => resolveRecord(module('jobs'), id));
    const nodes = explain(placementOf(record.spec), this.#nodeViews()).map(({ peerId, fits, reasons }) => ({
      peerId,
      fits,
      reasons: [...reasons],
    }));
    return { state: record.state, waitingFor: waitingFor(record, nodes), nodes };
  }
}

function firstNumber(jobs: Parameters<typeof findRecord>[0], table: 'due' | 'expiring'): number {
  for (const [key] of jobs.table<string>(table).range({ limit: 1 })) return keyNumber(key);
  return Number.POSITIVE_INFINITY;
}

function waitingFor(record: JobRecord, nodes: readonly { readonly fits: boolean }[]): string | null {
  if (isFinal(record.state)) return null;
  if (record.state === 'running') return `attempt ${record.attempt} to end`;
  if (record.state === 'cancelling') return 'its worker to prove that the attempt is over';
  if (record.state === 'scheduled') return 'its time';
  if (nodes.some(({ fits }) => fits)) return 'a free slot on a node that fits';
  return nodes.length === 0 ? 'a node that runs jobs' : `a node that fits: none of ${nodes.length} does`;
}
