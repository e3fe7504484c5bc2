import { AspenError, every, type PeerId, type Random, type Startable, sleep, Tasks } from '../base/index.ts';
import type { GroupClient, SessionHolder } from '../lease/index.ts';
import { parseWith } from '../lease/machine/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { AttachedWorker, type AttachedWorkerOptions, type WorkerLink } from './attached-worker.ts';
import { AttemptBook } from './attempt-book.ts';
import { AttemptRunner, type AttemptRunnerComponents } from './attempt-runner.ts';
import type { Executor, RecoveredAttempt, StopReason } from './execution/executor.ts';
import { HOLD_MARGIN_MS } from './holds.ts';
import { LocalAttempt } from './local-attempt.ts';
import { lost } from './outcome.ts';
import { notAccepted, OutcomeTeller, type Settled } from './outcome-teller.ts';
import { LOOKS_TO_DECIDE, nextSlotCount, type SlotBounds } from './pool-size.ts';
import { OwnPool, Pools } from './pools.ts';
import { isPlainAssignMessage, quickly } from './quick-checks.ts';
import type { AttemptRef } from './settlement.ts';
import {
  type AbortOrder,
  type Assignment,
  abortMessageSchema,
  assignMessageSchema,
  assignmentSchema,
  METHODS,
  ordersSchema,
  type WorkerReport,
} from './wire.ts';

export interface WorkerHostComponents extends AttemptRunnerComponents {
  readonly executors: readonly Executor[];
  readonly session: Pick<
    SessionHolder,
    | 'sessionId'
    | 'lastConfirmedSentMs'
    | 'setReporter'
    | 'onReply'
    | 'onLost'
    | 'checkSleep'
    | 'isConfirmed'
    | 'poke'
  >;
  readonly group: Pick<GroupClient, 'propose'>;
  readonly messenger: Pick<Messenger, 'handle'>;
  readonly random: Random;
  /** Whose assignments count; null while nobody is known to lead. */
  readonly leader: () => PeerId | null;
  /** P12 Its owner wants no new jobs here: the leader is told with each report, and what runs goes on. @default never */
  readonly isDrained?: () => boolean;
  readonly labels: () => Readonly<Record<string, string>>;
  readonly onFailure: (error: unknown) => void;
}

export interface WorkerHostOptions {
  readonly slots: number;
  /** As many as the node may offer while all are taken. @default `slots` */
  readonly slotsMost?: number;
  /** How long `stop` lets attempts finish before it hands them over. Unit: ms. @default 10_000 */
  readonly drainMs?: number;
}

const WATCH_MS = 250;
const STOP_LOOK_MS = 20;
/** Clocks that differ by less were not asleep: reading them takes time and cuts fractions. */
const SHORTEST_SLEEP_MS = 50;
/** After the last execution has ended, how long `stop` tries to hand over what it interrupted. */
const HAND_OVER_MS = 3_000;
/** Longest wait of `stop` for executors that were asked to end; what they do later is nobody's any more. */
const END_MOST_MS = 15_000;

const FENCED: Settled = notAccepted('the group knows nothing of this attempt any more');

const parseAssign = quickly(isPlainAssignMessage, parseWith(assignMessageSchema));
const parseAbort = parseWith(abortMessageSchema);

/**
 * Runs attempts on this node.
 *
 * - X1 An attempt is run only for an assignment from the leader, in this node's present session, and once.
 * - X2 An attempt is stopped by this node itself before the leader may give its job away (H1); then it is only given back, never completed.
 * - X3 An outcome is proposed until it is agreed or refused for good; until then the attempt stays in the reports.
 * - X5 What an earlier agent began here and still goes on is held again before the first report: the group hears of it from the new session as
 *   it did from the old one. Of what was interrupted it hears the reason.
 */
export class WorkerHost implements Startable {
  readonly #components: WorkerHostComponents;
  readonly #options: Required<WorkerHostOptions>;
  readonly #pools: Pools;
  readonly #attempts = new AttemptBook();
  readonly #tasks: Tasks;
  readonly #outcomes: OutcomeTeller;
  readonly #runner: AttemptRunner;
  readonly #isStopping = (): boolean => this.#isDraining;
  #wallAheadMs: number;
  #isDraining = false;
  /** Slots that were taken at the latest looks. */
  #taken: number[] = [];
  /** What waits for this node's slots, as the leader told it last. */
  #backlog: number | null = null;
  #parts: readonly Disposable[] = [];

  constructor(components: WorkerHostComponents, options: WorkerHostOptions) {
    this.#components = components;
    this.#options = { drainMs: 10_000, slotsMost: options.slots, ...options };
    this.#pools = new Pools(new OwnPool(components.executors, options.slots));
    this.#tasks = new Tasks(components.onFailure);
    this.#outcomes = new OutcomeTeller(components);
    this.#runner = new AttemptRunner(components);
    this.#wallAheadMs = components.clock.wallMs() - components.clock.monotonicMs();
    components.session.setReporter(
      () => this.#report(),
      () => this.#attempts.size === 0,
    );
    components.session.onReply((orders, { sentAtMs }) => this.#obey(orders, sentAtMs));
  }

  /** Attempts that run here now, or whose outcome is not agreed yet. */
  get runningCount(): number {
    return this.#attempts.size;
  }

  /** What this node offers has changed: the leader is told at once. */
  onOfferChange(callback: () => void): Disposable {
    return this.#pools.onChange(callback);
  }

  /** Everything this node offers, its attached workers included. */
  offer(): { readonly types: readonly string[]; readonly slots: number } {
    const attached = this.#pools.attached();
    const types = new Set([...this.#pools.own.types, ...attached.flatMap((worker) => worker.types)]);
    const slots = attached.reduce((sum, { concurrency }) => sum + concurrency, this.#pools.own.slots.count);
    return { types: [...types], slots };
  }

  /** @throws AspenError UNAVAILABLE while the node stops; RESOURCE_EXHAUSTED when it has as many workers as it may. */
  attach(link: WorkerLink, options: AttachedWorkerOptions): AttachedWorker {
    if (this.#isDraining) {
      throw new AspenError('UNAVAILABLE', 'this node is stopping', { outcome: 'not-applied' });
    }
    const { clock, log } = this.#components;
    const onChange = (changed: AttachedWorker) => {
      if (changed.isDrained) this.#pools.remove(changed);
      this.#pools.changed();
    };
    const worker = new AttachedWorker({ link, clock, onChange }, options);
    this.#pools.add(worker);
    const { id, types, concurrency } = options;
    log.info({ workerId: id, types, concurrency }, 'worker attached');
    return worker;
  }

  /** Signs of life of attempts, from whoever speaks for a worker. @returns those that it does not hold, or should end. */
  beat(workerId: string, attempts: readonly AttemptRef[]): AttemptRef[] {
    const worker = this.#pools.findAttached(workerId);
    return attempts.filter((ref) => worker?.beat(ref) !== true);
  }

  async start(): Promise<void> {
    const { messenger, session, clock } = this.#components;
    for (const recovered of await this.#pools.own.recover()) this.#recover(recovered); // X5
    this.#parts = [
      messenger.handle(METHODS.assign, ({ from, body }) => this.#onAssign(from, body)),
      messenger.handle(METHODS.abort, ({ from, body }) => this.#onAbort(from, body)),
      session.onLost(({ reason }) => {
        if (reason === 'slept') this.#stopAll('lost');
      }),
      this.#pools.onChange(() => session.poke()),
      every(clock, WATCH_MS, () => this.#watch()),
      ...(this.#mayResize ? [every(clock, WATCH_MS, () => this.#resize())] : []),
    ];
  }

  /**
   * Takes nothing more, lets attempts finish, hands over what is left.
   * @param leaveRunning what outlives the agent is neither waited for nor ended: the next one takes it over (X5).
   */
  async stop({ leaveRunning = false }: { readonly leaveRunning?: boolean } = {}): Promise<void> {
    this.#isDraining = true;
    this.#components.session.poke();
    const toEnd = () => this.#attempts.all().filter((attempt) => !leaveRunning || !this.#outlives(attempt));
    const isAtRest = () => this.#pools.all().every(({ slots }) => slots.takenCount === 0);
    await this.#until(() => toEnd().length === 0 || isAtRest(), this.#options.drainMs);
    for (const attempt of toEnd()) attempt.stop('shutdown');
    if (!leaveRunning) await this.#until(isAtRest, END_MOST_MS);
    await this.#until(() => toEnd().length === 0, HAND_OVER_MS);
    this.#outcomes.stop();
    this.#pools.own.abandon();
    for (const part of this.#parts) part[Symbol.dispose]();
    for (const worker of this.#pools.attached()) worker.disconnect();
    await this.#tasks.stop();
  }

  #outlives({ assignment }: LocalAttempt): boolean {
    return assignment.pool === null && this.#pools.own.outlives(assignment.type);
  }

  #report(): WorkerReport {
    return {
      labels: { ...this.#components.labels() },
      types: this.#pools.own.types,
      slots: this.#pools.own.slots.count,
      isDraining: this.#isDraining || this.#components.isDrained?.() === true,
      pools: this.#pools.attached().map((worker) => worker.report()),
      attempts: this.#attempts.all().map(({ ref }) => ref),
      ...(this.#mayResize && { wantsBacklog: true }),
    };
  }

  #obey(foreign: unknown, sentAtMs: number): void {
    const orders = ordersSchema.safeParse(foreign);
    if (!orders.success) {
      this.#components.log.warn({ issues: orders.error.issues.slice(0, 3) }, 'malformed orders');
      return;
    }
    this.#backlog = orders.data.backlog ?? null;
    for (const { holdMs, ...ref } of orders.data.holds) this.#attempts.find(ref)?.hold({ sentAtMs, holdMs });
    for (const order of orders.data.abort) this.#abort(order);
    for (const assignment of orders.data.assign) this.#accept(assignment, sentAtMs);
  }

  #onAssign(from: PeerId, body: unknown): null {
    const { assignments } = parseAssign(body);
    const sentAtMs = this.#components.session.lastConfirmedSentMs;
    if (from === this.#components.leader() && sentAtMs !== null) {
      for (const assignment of assignments) this.#accept(assignment, sentAtMs);
    }
    return null;
  }

  #onAbort(from: PeerId, body: unknown): null {
    const { attempts } = parseAbort(body);
    if (from === this.#components.leader()) for (const order of attempts) this.#abort(order);
    return null;
  }

  /** What is not held is not begun either when its assignment comes late; that is the proof a cancelled job waits for. */
  #abort({ reason, ...ref }: AbortOrder): void {
    const attempt = this.#attempts.find(ref);
    if (attempt === undefined) {
      if (!this.#attempts.isOver(ref)) this.#attempts.end(ref); // the leader asks for the same again and again
      if (reason === 'cancelled') this.#disown(ref);
    } else if (reason === 'lost') attempt.fence();
    else attempt.stop(reason);
  }

  /** Tried once: the leader asks again with its next answer. */
  #disown(ref: AttemptRef): void {
    const { log } = this.#components;
    this.#tasks.run(async () => {
      try {
        await this.#outcomes.tell({ kind: 'cancelled', ...ref, result: null }, 0);
      } catch (error) {
        if (!(error instanceof AspenError) && !this.#outcomes.signal.aborted) throw error;
        log.debug({ err: error, ...ref }, 'cancelled before it began, not agreed yet');
      }
    });
  }

  /** X1. An attempt that is over and assigned again was not agreed to be over: it is given back. */
  #accept(assignment: Assignment, sentAtMs: number): void {
    const { session, log } = this.#components;
    if (assignment.sessionId !== session.sessionId) return;
    const attempt = new LocalAttempt(assignment, { sentAtMs, holdMs: assignment.holdMs });
    if (this.#attempts.find(attempt.ref) !== undefined) return;
    const hasEnded = this.#attempts.isOver(attempt.ref);
    if (!hasEnded) log.debug({ ...attempt.ref, type: assignment.type }, 'attempt begins');
    this.#attempts.keep(attempt);
    this.#tasks.run(() => this.#live(attempt, { hasEnded }));
  }

  /** X5 */
  #recover(recovered: RecoveredAttempt): void {
    const { clock, log } = this.#components;
    const assignment = assignmentSchema.safeParse(recovered.assignment);
    if (!assignment.success) {
      log.warn({ issues: assignment.error.issues.slice(0, 3) }, 'an attempt cannot be taken over');
      return;
    }
    const nowMs = clock.monotonicMs();
    const holdMs = recovered.holdUntilMs - nowMs + HOLD_MARGIN_MS;
    const attempt = new LocalAttempt(
      { ...assignment.data, timeoutMs: recovered.timeoutLeftMs },
      { sentAtMs: nowMs, holdMs },
    );
    log.info({ ...attempt.ref, holdMs: Math.round(holdMs) }, 'attempt taken over');
    this.#attempts.keep(attempt);
    this.#tasks.run(() => this.#live(attempt, { recovered }));
  }

  async #live(
    attempt: LocalAttempt,
    { hasEnded = false, recovered }: { readonly hasEnded?: boolean; readonly recovered?: RecoveredAttempt },
  ): Promise<void> {
    const pool = this.#pools.find(attempt.assignment.pool);
    try {
      const outcome = hasEnded
        ? lost('its node has ended it')
        : recovered === undefined
          ? await this.#runner.run(pool, attempt, this.#isStopping)
          : await this.#runner.resume(this.#pools.own, attempt, recovered);
      const settled = outcome === null ? FENCED : await this.#outcomes.settle(attempt.ref, outcome);
      const isTold = settled.state !== null || outcome === null || !this.#outcomes.signal.aborted;
      if (isTold || pool !== this.#pools.own) pool?.settled(attempt.ref, settled);
    } finally {
      this.#attempts.end(attempt.ref);
    }
  }

  get #bounds(): SlotBounds {
    const { slots, slotsMost } = this.#options;
    return { least: slots, most: Math.max(slots, slotsMost) };
  }

  get #mayResize(): boolean {
    return this.#bounds.most > this.#bounds.least;
  }

  /** A7 */
  #resize(): void {
    const { slots } = this.#pools.own;
    this.#taken.push(slots.takenCount);
    if (this.#taken.length < LOOKS_TO_DECIDE) return;
    const looks = { slotCount: slots.count, taken: this.#taken, backlog: this.#backlog };
    const next = nextSlotCount(looks, this.#bounds);
    this.#taken = [];
    if (next === slots.count) return;
    this.#components.log.info({ from: slots.count, to: next }, 'slots changed');
    slots.resize(next);
    this.#pools.changed();
  }

  /** X2 */
  #watch(): void {
    const { session } = this.#components;
    this.#noteShortSleep();
    if (!session.checkSleep()) {
      this.#stopAll('lost');
      return;
    }
    const nowMs = this.#components.clock.monotonicMs();
    for (const attempt of this.#attempts.all()) {
      if (!attempt.hasHoldEnded(nowMs) || attempt.stopReason !== null) continue;
      this.#components.log.warn({ ...attempt.ref }, 'the leader was silent past the hold, attempt stopped');
      attempt.stop('lost');
    }
  }

  /** X2: a sleep too short to end the session still took its time from every hold. */
  #noteShortSleep(): void {
    const { clock } = this.#components;
    const wallAheadMs = clock.wallMs() - clock.monotonicMs();
    const sleptMs = wallAheadMs - this.#wallAheadMs;
    this.#wallAheadMs = wallAheadMs;
    if (sleptMs > SHORTEST_SLEEP_MS) for (const attempt of this.#attempts.all()) attempt.shorten(sleptMs);
  }

  #stopAll(reason: StopReason): void {
    for (const attempt of this.#attempts.all()) attempt.stop(reason);
  }

  async #until(isReached: () => boolean, withinMs: number): Promise<void> {
    const { clock } = this.#components;
    const endMs = clock.monotonicMs() + withinMs;
    while (!isReached() && clock.monotonicMs() < endMs) await sleep(clock, STOP_LOOK_MS);
  }
}
