import type { NodeView } from '../affinity/index.ts';
import { every, type Logger, type PeerId, type Random, type Timer } from '../base/index.ts';
import type { KeptSession, Leadership, Proposed, SessionKeeper } from '../lease/index.ts';
import { type Bucket, parseWith } from '../lease/machine/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { AssignItem, AssignResult } from './assign.ts';
import { assignBody } from './assign-body.ts';
import { AttemptKeeper } from './attempt-keeper.ts';
import { backlogOf } from './backlog.ts';
import { explainTo } from './explainer.ts';
import { Foresight, linesAhead } from './foresight.ts';
import { readyKey } from './job-places.ts';
import { Lines } from './lines.ts';
import type { LiveIndex } from './live-index.ts';
import type { Fact, Key } from './machine-port.ts';
import { type NamedByJobs, NodeOffers, type NodeOffersComponents, namedBy } from './node-offers.ts';
import { type PlannedAssignment, type PlannedPlace, placementOf, planAssignments } from './plan.ts';
import { PlannedStarts } from './planned-starts.ts';
import type { ReadyJob } from './ready-queue.ts';
import type { JobRecord } from './record.ts';
import { findRecord } from './record-store.ts';
import type { AttemptRef, SettleItem } from './settlement.ts';
import { StartBudget } from './start-budget.ts';
import { gateOf } from './start-gate.ts';
import type { SubmitItem } from './submission.ts';
import { holdsSlot } from './tallies.ts';
import { keepUp } from './upkeep-timer.ts';
import { type Orders, reportSchema } from './wire.ts';

export interface DispatcherComponents extends NodeOffersComponents {
  readonly leadership: Leadership;
  readonly sessions: Pick<SessionKeeper, 'onReport' | 'find' | 'onChange'>;
  readonly messenger: Pick<Messenger, 'send'>;
  readonly random: Random;
  readonly log: Logger;
  /** Members as they were heard of last, for explanations: also those without a session. @default only who has one */
  readonly knownNodes?: (() => readonly NodeView[]) | undefined;
  /** The state cannot be read any more: the process must end. */
  readonly onFailure: (error: unknown) => void;
}

const SWEEP_MS = 250;
/** Most assignments of one command. */
const PLAN_LIMIT = 1_000;
/** Plans that may be on their way into the log at one time. */
const PLANS_UNDER_WAY = 16;
/** Waiting jobs that a new leader reads at one go. */
const LOAD_LIMIT = 1_000;

const parseReport = parseWith(reportSchema);

/**
 * Gives waiting jobs to willing nodes, and takes them back from silent ones, while this node leads. It owns no truth: what it
 * proposes is guarded in `apply`, and a new leader's dispatcher rebuilds everything by a scan.
 *
 * - P1 Nobody polls: facts and reports trigger a plan, a plan is one command, its outcome is pushed to the nodes at once.
 * - P2 A node is given no more attempts than the slots it reported, and none while it is suspect. Counted are agreed attempts and planned
 *   ones, less those whose end is on its way into the log.
 * - P9 What a limit holds back is not tried again before the end of a running job, the refill of a rate, or a change of the limits.
 * - P16 What limits allow is counted with what plans on their way will take: no plan waits for another, also under limits.
 * - P17 A job for which a slot is free is assigned in the entry that accepts it: see {@link Foresight}.
 * - P6 A new leader reads what waits in slices, the most urgent first, so that a long queue does not keep it from leading.
 */
export class Dispatcher implements Disposable {
  readonly #components: DispatcherComponents;
  readonly #lines = new Lines();
  readonly #keeper: AttemptKeeper;
  readonly #offers: NodeOffers;
  readonly #plannedStarts = new PlannedStarts();
  readonly #foresight = new Foresight();
  readonly #parts: readonly Disposable[];
  #loading: Timer | undefined;
  #isLoaded = false;
  /** Rings when a rate lets the next job start. */
  #refill: Timer | undefined;
  #isPlanDue = false;
  /** Plans that are proposed and not agreed yet. */
  #underWay = 0;
  #isPlanMissed = false;
  #elsewhereCount = 0;

  constructor(components: DispatcherComponents) {
    const { leadership, sessions, clock, log } = components;
    this.#components = components;
    this.#keeper = new AttemptKeeper(components);
    this.#offers = new NodeOffers(components);
    this.#followRunning();
    this.#loadWaiting('');
    sessions.onReport((peerId, sessionId, report) => this.#onReport(peerId, sessionId, report));
    const explaining = {
      ...components,
      offers: this.#offers,
      viewsOf: (named: NamedByJobs) => this.#views(named),
      knownNodes: components.knownNodes ?? (() => []),
    };
    this.#parts = [
      leadership.serve('jobs/explain', ({ body }) => explainTo(explaining, body)),
      leadership.onFacts((facts) => this.#onFacts(facts)),
      leadership.onProposed((proposed) => this.#onProposed(proposed)),
      sessions.onChange((session) => this.#onSession(session)),
      every(clock, SWEEP_MS, () => this.#sweep()),
      keepUp({ leadership, clock, log, isAnyRunning: () => this.#keeper.size > 0 }),
    ];
  }

  [Symbol.dispose](): void {
    this.#loading?.cancel();
    this.#refill?.cancel();
    for (const part of this.#parts) part[Symbol.dispose]();
  }

  #followRunning(): void {
    this.#components.leadership.read(({ module }) => {
      const jobs = module('jobs');
      const index = jobs.derived<LiveIndex>();
      for (const state of ['running', 'cancelling'] as const)
        for (const { id } of index.newestFirst(state)) this.#keeper.follow(findRecord(jobs, id), id);
    });
  }

  /** P6. What changes meanwhile comes as facts; a job that is met both ways waits once. */
  #loadWaiting(from: Key): void {
    const { leadership, clock } = this.#components;
    if (leadership.signal.aborted) return;
    const rows = leadership.read(({ module }) => {
      const jobs = module('jobs');
      const waiting = jobs.derived<LiveIndex>().ready(from).take(LOAD_LIMIT);
      return Array.from(waiting, ({ key, id }) => ({ key, record: findRecord(jobs, id) }));
    });
    for (const { record } of rows) if (record !== undefined) this.#wait(record);
    const last = rows.at(-1);
    this.#isLoaded = last === undefined || rows.length < LOAD_LIMIT;
    if (last === undefined || this.#isLoaded) return;
    this.#loading = clock.setTimer(0, () => {
      this.#loadWaiting(`${last.key}\u00ff`);
      this.#wantPlan();
    });
  }

  #record(id: string): JobRecord | undefined {
    return this.#components.leadership.read(({ module }) => findRecord(module('jobs'), id));
  }

  #onFacts(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.module === 'jobs' && fact.type === 'limits') this.#lines.unparkAll();
      else if (fact.module === 'jobs')
        this.#onJob(fact['record'] as JobRecord, fact['before'] as JobRecord['state'] | null);
      if (fact.module === 'members' && (fact.type === 'left' || fact.type === 'revoked')) {
        this.#keeper.loseAllOf(fact['peerId'] as PeerId, `its node is no member any more: ${fact.type}`);
      }
    }
    this.#wantPlan();
  }

  #onJob(record: JobRecord, before: JobRecord['state'] | null): void {
    const { id } = record;
    this.#keeper.follow(record, id);
    const { queue, concurrencyKey } = record.spec;
    if (concurrencyKey !== null && before !== null && holdsSlot(before) && !holdsSlot(record.state))
      this.#lines.unpark(queue, concurrencyKey); // P8
    const isForeseen = before === null && this.#foresight.accepted(id);
    if (record.state === 'queued') {
      if (!isForeseen) this.#wait(record); // P17
    } else if (before === 'queued') this.#leave(record);
  }

  #wait(record: JobRecord): void {
    this.#foresight.waits(record.id);
    this.#lines.add(readyJob(record, readyKey(record)), placementOf(record.spec), record.spec);
  }

  #leave(record: JobRecord): void {
    const { id, spec } = record;
    const placement = placementOf(spec);
    if (this.#foresight.isAssigned(id)) this.#lines.left(spec.concurrencyKey, placement, spec);
    else this.#lines.remove(readyJob(record, readyKey(record)), placement, spec);
  }

  #onSession({ peerId }: KeptSession): void {
    if (this.#components.sessions.find(peerId) === undefined) this.#offers.forget(peerId);
    this.#wantPlan();
  }

  #onReport(peerId: PeerId, sessionId: string, foreign: unknown): Orders {
    const report = parseReport(foreign);
    this.#offers.take(peerId, sessionId, report);
    const orders = this.#keeper.reconcile(peerId, sessionId, report);
    this.#wantPlan();
    return report.wantsBacklog === true ? { ...orders, backlog: this.#backlogOf(peerId) } : orders;
  }

  /** A8 */
  #backlogOf(peerId: PeerId): number {
    const gate = gateOf(this.#budget());
    return backlogOf(peerId, {
      lines: this.#lines.all(),
      views: this.#views(),
      isHeld: (line) => gate?.held(line, line.queue.peek() as ReadyJob) === 'line',
    });
  }

  #sweep(): void {
    this.#keeper.sweep();
    this.#foresight.forget(this.#components.clock.monotonicMs());
    this.#wantPlan();
  }

  /**
   * P1: places that are about to be free are given away in the same entry as the reports that free them, which saves the wait for a sync
   * between one attempt and the next.
   */
  #onProposed({ module, kind, body }: Proposed): void {
    if (module !== 'jobs') return;
    if (kind === 'submit') this.#foresee((body as { readonly jobs: readonly SubmitItem[] }).jobs);
    if (kind !== 'settle') return;
    const { items } = body as { readonly items: readonly SettleItem[] };
    for (const item of items) if (item.kind === 'lose') this.#stopOffering(item);
    this.#keeper.expectEnds(items);
    if (this.#lines.size > 0) this.#planNow();
  }

  /** P17: the assignment stands behind the submission in one entry; where that is refused, this is refused as well. */
  #foresee(jobs: readonly SubmitItem[]): void {
    const planned = this.#mayForesee() ? this.#plan(linesAhead(jobs), undefined) : [];
    if (planned.length > 0) this.#give(planned, undefined);
    this.#foresight.note(jobs, this.#components.clock.monotonicMs());
  }

  #mayForesee(): boolean {
    if (!this.#isLoaded || this.#underWay >= PLANS_UNDER_WAY || this.#components.leadership.signal.aborted)
      return false;
    return this.#lines.size === 0 && !this.#foresight.isAnyWaiting && this.#budget() === undefined;
  }

  /** P15: what this leader gives up by itself says nothing of whoever had it. */
  #stopOffering(ref: AttemptRef): void {
    const held = this.#keeper.find(ref);
    if (held !== undefined && !held.isLosing) this.#offers.stop(held.node, held.pool);
  }

  /** Coalesces what happens in one turn. */
  #wantPlan(): void {
    if (this.#isPlanDue) return;
    this.#isPlanDue = true;
    queueMicrotask(() => {
      this.#isPlanDue = false;
      try {
        this.#planNow();
      } catch (error) {
        this.#components.onFailure(error); // nobody called this who could hear of it
      }
    });
  }

  /** Plans follow each other before they are agreed, since what is planned is counted: slots (P2) and what limits allow (P16). */
  #planNow(): void {
    if (this.#components.leadership.signal.aborted || this.#lines.size === 0) return;
    if (this.#underWay >= PLANS_UNDER_WAY) {
      this.#isPlanMissed = true;
      return;
    }
    const budget = this.#budget();
    const planned = this.#plan(this.#lines, budget);
    const isWaiting = budget?.hasHeld || this.#lines.size > 0;
    if (isWaiting && this.#underWay > 0) this.#isPlanMissed = true; // P16: perhaps behind what is refused yet
    if (planned.length > 0) this.#give(planned, budget);
  }

  #give(planned: readonly PlannedAssignment[], budget: StartBudget | undefined): void {
    this.#underWay += 1;
    this.#assign(planned)
      .catch((err: unknown) => {
        this.#components.log.debug({ err }, 'plan not agreed');
        return false;
      })
      .then((isAgreed) => {
        this.#underWay -= 1;
        if (budget !== undefined) this.#endStarts(budget, planned);
        if (isAgreed || this.#isPlanMissed) this.#wantPlan(); // what was refused waits for something to happen
        this.#isPlanMissed = false;
      });
  }

  /** P16: what was set aside because of a start that was counted twice, or refused, is tried again. */
  #endStarts({ starts }: StartBudget, planned: readonly PlannedAssignment[]): void {
    for (const start of starts) this.#plannedStarts.end(start);
    for (const { job, line } of planned)
      if (job.concurrencyKey !== undefined) this.#lines.unpark(line.owner.queue, job.concurrencyKey);
  }

  #plan(lines: Lines, budget: StartBudget | undefined): PlannedAssignment[] {
    const { clock, random } = this.#components;
    const planned = planAssignments(lines.all(), this.#views(), {
      limit: PLAN_LIMIT,
      nowMs: clock.monotonicMs(),
      seed: random.uint32(),
      gate: gateOf(budget),
      coordinateOf: this.#components.coordinateOf,
    });
    this.#tellElsewhere(planned);
    if (budget !== undefined) this.#ringAfter(budget.retryAfterMs);
    return planned;
  }

  #tellElsewhere(planned: readonly PlannedAssignment[]): void {
    for (const { isElsewhere, job, line, peerId } of planned) {
      if (!isElsewhere) continue;
      this.#elsewhereCount += 1;
      const preferred = line.placement.node?.peerId;
      this.#components.log.info({ jobId: job.id, peerId, preferred }, 'preferred node waited for in vain');
    }
  }

  /** Jobs that were planned elsewhere than on their preferred node, since this node leads. */
  get elsewhereCount(): number {
    return this.#elsewhereCount;
  }

  /** @returns undefined where nothing is limited, which costs nothing then. */
  #budget(): StartBudget | undefined {
    const { leadership } = this.#components;
    return leadership.read(({ module }) => {
      const jobs = module('jobs');
      const { limits, hooks, tallies } = jobs.derived<LiveIndex>();
      if (limits.size === 0 && (hooks.size === 0 || !hooks.hasWaiting(tallies))) return undefined;
      const buckets = jobs.table<Bucket>('buckets');
      const rules = { limits, hooks, running: tallies, buckets, groupMs: leadership.groupMs() };
      return new StartBudget(rules, this.#plannedStarts);
    });
  }

  /** P9 */
  #ringAfter(waitMs: number): void {
    this.#refill?.cancel();
    this.#refill = undefined;
    if (waitMs === Number.POSITIVE_INFINITY) return;
    this.#refill = this.#components.clock.setTimer(waitMs, () => this.#wantPlan());
  }

  #views(named = namedBy(this.#lines.all())): NodeView[] {
    return this.#offers.views(named, (peerId, pool) => this.#keeper.countOf(peerId, pool));
  }

  /** What is not agreed waits again, whatever kept it from being agreed. @returns whether all of it was agreed. */
  async #assign(planned: readonly PlannedAssignment[]): Promise<boolean> {
    const { leadership, log } = this.#components;
    const placed = ({ peerId, pool }: PlannedPlace) => ({
      peerId,
      sessionId: this.#offers.sessionOf(peerId) ?? '',
      pool,
    });
    const assignments = planned.map(({ job, others, peerId, pool }): AssignItem => {
      const sessionId = this.#offers.sessionOf(peerId) ?? '';
      const alone = { jobId: job.id, peerId, sessionId, pool };
      return others === undefined ? alone : { ...alone, others: others.map(placed) };
    });
    const body = assignBody(assignments, leadership.version);
    let results: readonly AssignResult[];
    this.#foresight.begin(planned);
    this.#keeper.reserve(planned, 1);
    try {
      results = await leadership.propose<readonly AssignResult[]>({ module: 'jobs', kind: 'assign', body });
    } catch (error) {
      if (!leadership.signal.aborted) for (const { job } of planned) this.#putBack(job.id);
      throw error;
    } finally {
      this.#keeper.reserve(planned, -1);
      this.#foresight.end(planned);
    }
    const agreed: string[] = [];
    for (const result of results) {
      if ('running' in result) agreed.push(result.jobId);
      else {
        log.debug({ jobId: result.jobId, code: result.error.code }, 'assignment refused');
        this.#putBack(result.jobId);
      }
    }
    this.#keeper.push(agreed);
    return agreed.length === results.length;
  }

  #putBack(jobId: string): void {
    const record = this.#record(jobId);
    if (record?.state === 'queued') this.#wait(record);
  }
}

function readyJob({ id, spec: { concurrencyKey } }: JobRecord, key: Key): ReadyJob {
  return concurrencyKey === null ? { id, key } : { id, key, concurrencyKey };
}
