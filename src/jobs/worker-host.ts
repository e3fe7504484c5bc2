import {
  AspenError,
  Batcher,
  backoffMs,
  type Clock,
  every,
  fromWireError,
  type Logger,
  type PeerId,
  type Random,
  type Startable,
  sleep,
  Tasks,
} from '../base/index.ts';
import type { GroupClient, SessionHolder } from '../lease/index.ts';
import { parseWith } from '../lease/machine/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { AttemptBook } from './attempt-book.ts';
import { type ExecutionResult, type Executor, type StopReason, stoppedResult } from './execution/executor.ts';
import type { OutputStore } from './execution/output-store.ts';
import { HOLD_MARGIN_MS } from './holds.ts';
import { LocalAttempt, nameOf } from './local-attempt.ts';
import {
  failedResult,
  handedOver,
  isOver,
  isRefusedForGood,
  lost,
  type Outcome,
  outcomeOf,
  refusedOutcome,
} from './outcome.ts';
import type { AttemptRef, SettleItem, Settlement, SettleResult } from './settle.ts';
import { Slots } from './slots.ts';
import {
  type AbortOrder,
  type Assignment,
  abortMessageSchema,
  assignMessageSchema,
  METHODS,
  ordersSchema,
  type WorkerReport,
} from './wire.ts';

export interface Progress {
  readonly percent: number | null;
  readonly message: string | null;
  readonly counters: Readonly<Record<string, number>>;
}

export interface WorkerHostComponents {
  readonly self: PeerId;
  readonly executors: readonly Executor[];
  readonly session: Pick<
    SessionHolder,
    'sessionId' | 'lastConfirmedSentMs' | 'setReporter' | 'onReply' | 'onLost' | 'checkSleep' | 'poke'
  >;
  readonly group: Pick<GroupClient, 'propose'>;
  readonly messenger: Pick<Messenger, 'handle'>;
  readonly outputs: OutputStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Whose assignments count; null while nobody is known to lead. */
  readonly leader: () => PeerId | null;
  readonly labels: () => Readonly<Record<string, string>>;
  readonly onProgress: (jobId: string, fencingToken: number, progress: Progress) => void;
  readonly onFailure: (error: unknown) => void;
}

export interface WorkerHostOptions {
  readonly slots: number;
  /** How long `stop` lets attempts finish before it hands them over. Unit: ms. @default 10_000 */
  readonly drainMs?: number;
}

const WATCH_MS = 250;
const STOP_LOOK_MS = 20;
/** Clocks that differ by less were not asleep: reading them takes time and cuts fractions. */
const SHORTEST_SLEEP_MS = 50;
const SETTLE_TRY_MS = 10_000;
/** Outcomes that travel in one command. */
const OUTCOME_BATCH = { itemsLimit: 1_000, bytesLimit: 2 ** 19 };
/** After the last execution has ended, how long `stop` tries to hand over what it interrupted. */
const HAND_OVER_MS = 3_000;
/** Longest wait of `stop` for executors that were asked to end; what they do later is nobody's any more. */
const END_MOST_MS = 15_000;

const parseAssign = parseWith(assignMessageSchema);
const parseAbort = parseWith(abortMessageSchema);

/**
 * Runs attempts on this node.
 *
 * - X1 An attempt is run only for an assignment from the leader, in this node's present session, and once.
 * - X2 An attempt is stopped by this node itself before the leader may give its job away (H1); then it is only given back, never completed.
 * - X3 An outcome is proposed until it is agreed or refused for good; until then the attempt stays in the reports.
 * - X4 No more attempts execute at once than this node has slots, whatever it is given.
 */
export class WorkerHost implements Startable {
  readonly #components: WorkerHostComponents;
  readonly #options: Required<WorkerHostOptions>;
  readonly #executors: ReadonlyMap<string, Executor>;
  readonly #attempts = new AttemptBook();
  readonly #slots: Slots;
  readonly #tasks: Tasks;
  readonly #abandoned = new AbortController();
  /** Ends the wait for each executor at work. */
  readonly #executing = new Set<(result: ExecutionResult) => void>();
  readonly #outcomes: Batcher<SettleItem, SettleResult>;
  #wallAheadMs: number;
  #isDraining = false;
  #parts: readonly Disposable[] = [];

  constructor(components: WorkerHostComponents, options: WorkerHostOptions) {
    this.#components = components;
    this.#options = { drainMs: 10_000, ...options };
    this.#executors = new Map(components.executors.map((executor) => [executor.type, executor]));
    this.#slots = new Slots(options.slots);
    this.#tasks = new Tasks(components.onFailure);
    this.#outcomes = new Batcher((items) => this.#propose(items), OUTCOME_BATCH);
    this.#wallAheadMs = components.clock.wallMs() - components.clock.monotonicMs();
    components.session.setReporter(() => this.#report());
    components.session.onReply((orders, { sentAtMs }) => this.#obey(orders, sentAtMs));
  }

  /** Attempts that run here now, or whose outcome is not agreed yet. */
  get runningCount(): number {
    return this.#attempts.size;
  }

  async start(): Promise<void> {
    const { messenger, session, clock } = this.#components;
    this.#parts = [
      messenger.handle(METHODS.assign, ({ from, body }) => this.#onAssign(from, body)),
      messenger.handle(METHODS.abort, ({ from, body }) => this.#onAbort(from, body)),
      session.onLost(({ reason }) => {
        if (reason === 'slept') this.#stopAll('lost');
      }),
      every(clock, WATCH_MS, () => this.#watch()),
    ];
  }

  /** Takes nothing more, lets attempts finish, hands over what is left. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#components.session.poke();
    await this.#until(() => this.#attempts.size === 0, this.#options.drainMs);
    this.#stopAll('shutdown');
    await this.#until(() => this.#slots.takenCount === 0, END_MOST_MS);
    await this.#until(() => this.#attempts.size === 0, HAND_OVER_MS);
    this.#abandoned.abort(new Error('the worker stopped'));
    for (const abandon of this.#executing) abandon(stoppedResult('shutdown', null));
    for (const part of this.#parts) part[Symbol.dispose]();
    await this.#tasks.stop();
  }

  #report(): WorkerReport {
    return {
      labels: { ...this.#components.labels() },
      types: [...this.#executors.keys()],
      slots: this.#options.slots,
      isDraining: this.#isDraining,
      attempts: this.#attempts.all().map(({ ref }) => ref),
    };
  }

  #obey(foreign: unknown, sentAtMs: number): void {
    const orders = ordersSchema.safeParse(foreign);
    if (!orders.success) {
      this.#components.log.warn({ issues: orders.error.issues.slice(0, 3) }, 'malformed orders');
      return;
    }
    for (const { holdMs, ...ref } of orders.data.holds)
      this.#attempts.find(nameOf(ref))?.hold({ sentAtMs, holdMs });
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
    const name = nameOf(ref);
    const attempt = this.#attempts.find(name);
    if (attempt === undefined) {
      this.#attempts.end(name);
      if (reason === 'cancelled') this.#disown(ref);
    } else if (reason === 'lost') attempt.fence();
    else attempt.stop(reason);
  }

  /** Tried once: the leader asks again with its next answer. */
  #disown(ref: AttemptRef): void {
    const { log } = this.#components;
    this.#tasks.run(async () => {
      try {
        await this.#tell({ kind: 'cancelled', ...ref, result: null }, 0);
      } catch (error) {
        if (!(error instanceof AspenError) && !this.#abandoned.signal.aborted) throw error;
        log.debug({ err: error, ...ref }, 'cancelled before it began, not agreed yet');
      }
    });
  }

  /** X1. An attempt that is over and assigned again was not agreed to be over: it is given back. */
  #accept(assignment: Assignment, sentAtMs: number): void {
    const { session, log } = this.#components;
    if (assignment.sessionId !== session.sessionId) return;
    const attempt = new LocalAttempt(assignment, { sentAtMs, holdMs: assignment.holdMs });
    if (this.#attempts.find(attempt.name) !== undefined) return;
    const hasEnded = this.#attempts.isOver(attempt.name);
    if (!hasEnded) log.debug({ ...attempt.ref, type: assignment.type }, 'attempt begins');
    this.#attempts.keep(attempt);
    this.#tasks.run(async () => {
      try {
        const outcome = hasEnded ? lost('its node has ended it') : await this.#run(attempt);
        if (outcome !== null) await this.#settle(attempt, outcome);
      } finally {
        this.#attempts.end(attempt.name);
      }
    });
  }

  async #run(attempt: LocalAttempt): Promise<Outcome | null> {
    const executor = this.#executors.get(attempt.assignment.type);
    if (executor === undefined) return lost(`its node does not run jobs of type ${attempt.assignment.type}`);
    if (this.#isDraining) return handedOver('its node is stopping');
    using slot = await this.#slots.take(attempt.signal); // X4
    const result =
      slot === null
        ? stoppedResult(attempt.stopReason ?? 'shutdown', null)
        : await this.#execute(executor, attempt);
    return outcomeOf(attempt, result);
  }

  async #execute(executor: Executor, attempt: LocalAttempt): Promise<ExecutionResult> {
    const { self, clock, outputs, onProgress, log } = this.#components;
    const { jobId, attempt: number, fencingToken, payload, traceparent, timeoutMs } = attempt.assignment;
    const output = outputs.open(jobId, number);
    const timer = timeoutMs === null ? undefined : clock.setTimer(timeoutMs, () => attempt.stop('timeout'));
    try {
      const executing = executor.execute({
        jobId,
        attempt: number,
        fencingToken,
        node: self,
        payload,
        traceparent,
        signal: attempt.signal,
        output,
        progress: ({ percent = null, message = null, counters = {} }) =>
          onProgress(jobId, fencingToken, { percent, message, counters }),
      });
      return await this.#unlessAbandoned(executing);
    } catch (error) {
      if (attempt.stopReason !== null) return stoppedResult(attempt.stopReason, null);
      log.warn({ err: error, jobId, type: executor.type }, 'executor failed');
      return failedResult(error);
    } finally {
      timer?.cancel();
      output.end();
    }
  }

  /** An executor that never ends must not keep the agent from ending. */
  #unlessAbandoned(executing: Promise<ExecutionResult>): Promise<ExecutionResult> {
    return new Promise((resolve, reject) => {
      this.#executing.add(resolve);
      executing.then(resolve, reject).finally(() => this.#executing.delete(resolve));
    });
  }

  /** X3. What the group can never take is told as a failure instead, once. */
  async #settle(attempt: LocalAttempt, { kind, body, bytes }: Outcome, isSubstitute = false): Promise<void> {
    const { random, log, session } = this.#components;
    const { signal } = this.#abandoned;
    for (let tries = 1; !signal.aborted; tries += 1) {
      if (!session.checkSleep() && kind !== 'lose') return;
      try {
        await this.#tell({ kind, ...attempt.ref, ...body } as SettleItem, bytes);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AspenError)) throw error;
        if (isRefusedForGood(error)) {
          log.info({ err: error, ...attempt.ref, kind }, 'outcome refused');
          if (isOver(error) || isSubstitute) return;
          await this.#settle(attempt, refusedOutcome(error), true);
          return;
        }
      }
      await this.#pause(backoffMs(tries, random, { firstMs: 100, mostMs: 2_000 }));
    }
  }

  /** @throws AspenError when this report was refused, or none could be agreed. */
  async #tell(item: SettleItem, bytes: number): Promise<Settlement> {
    const result = await this.#outcomes.add(item, bytes);
    if ('error' in result) throw fromWireError(result.error);
    return result;
  }

  #propose(items: readonly SettleItem[]): Promise<readonly SettleResult[]> {
    const { signal } = this.#abandoned;
    const command = { module: 'jobs', kind: 'settle', body: { items } };
    return this.#components.group.propose(command, { timeoutMs: SETTLE_TRY_MS, signal });
  }

  /** Ends early when the host stops. */
  #pause(forMs: number): Promise<void> {
    const { signal } = this.#abandoned;
    return sleep(this.#components.clock, forMs, signal).catch((reason: unknown) => {
      if (!signal.aborted) throw reason;
    });
  }

  /** X2 */
  #watch(): void {
    const { session, clock } = this.#components;
    this.#noteShortSleep();
    if (!session.checkSleep()) {
      this.#stopAll('lost');
      return;
    }
    const nowMs = clock.monotonicMs();
    for (const attempt of this.#attempts.all()) {
      if (nowMs < attempt.deadlineMs - HOLD_MARGIN_MS || attempt.stopReason !== null) continue;
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
