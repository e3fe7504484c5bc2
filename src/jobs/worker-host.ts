import {
  AspenError,
  backoffMs,
  type Clock,
  every,
  type Logger,
  type PeerId,
  type Random,
  type Startable,
  sleep,
  Tasks,
} from '../base/index.ts';
import type { GroupClient, SessionHolder } from '../lease/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { ExecutionResult, Executor, StopReason } from './execution/executor.ts';
import type { OutputStore } from './execution/output-store.ts';
import { HOLD_MARGIN_MS } from './holds.ts';
import { LocalAttempt } from './local-attempt.ts';
import {
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
const SETTLE_TRY_MS = 10_000;
/** After the drain, how long `stop` tries to hand over what it interrupted. */
const HAND_OVER_MS = 3_000;

/**
 * Runs attempts on this node.
 *
 * - X1 An attempt is run only for an assignment from the leader, in this node's present session, and once.
 * - X2 An attempt is stopped by this node itself before the leader may give its job away (H1), and then reported no more.
 * - X3 An outcome is proposed until it is agreed or refused for good; until then the attempt stays in the reports.
 */
export class WorkerHost implements Startable {
  readonly #components: WorkerHostComponents;
  readonly #options: Required<WorkerHostOptions>;
  readonly #executors: ReadonlyMap<string, Executor>;
  readonly #attempts = new Map<string, LocalAttempt>();
  readonly #tasks: Tasks;
  readonly #abandoned = new AbortController();
  #isDraining = false;
  #parts: readonly Disposable[] = [];

  constructor(components: WorkerHostComponents, options: WorkerHostOptions) {
    this.#components = components;
    this.#options = { drainMs: 10_000, ...options };
    this.#executors = new Map(components.executors.map((executor) => [executor.type, executor]));
    this.#tasks = new Tasks(components.onFailure);
    components.session.setReporter(() => this.#report());
    components.session.onReply((orders, { sentAtMs }) => this.#obey(orders, sentAtMs));
  }

  /** Attempts that run here now. */
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
    await this.#untilIdle(this.#options.drainMs);
    this.#stopAll('shutdown');
    await this.#untilIdle(HAND_OVER_MS);
    this.#abandoned.abort(new Error('the worker stopped'));
    for (const part of this.#parts) part[Symbol.dispose]();
    await this.#tasks.stop();
  }

  #report(): WorkerReport {
    return {
      labels: { ...this.#components.labels() },
      types: [...this.#executors.keys()],
      slots: this.#options.slots,
      isDraining: this.#isDraining,
      attempts: Array.from(this.#attempts.values(), ({ ref }) => ref),
    };
  }

  #obey(foreign: unknown, sentAtMs: number): void {
    const orders = ordersSchema.safeParse(foreign);
    if (!orders.success) return;
    for (const { jobId, fencingToken, holdMs } of orders.data.holds) {
      this.#attempts.get(nameOf(jobId, fencingToken))?.hold({ sentAtMs, holdMs });
    }
    for (const { jobId, fencingToken, reason } of orders.data.abort) {
      this.#attempts.get(nameOf(jobId, fencingToken))?.stop(reason);
    }
    for (const assignment of orders.data.assign) this.#accept(assignment, sentAtMs);
  }

  #onAssign(from: PeerId, body: unknown): null {
    const { assignments } = assignMessageSchema.parse(body);
    const sentAtMs = this.#components.session.lastConfirmedSentMs;
    if (from === this.#components.leader() && sentAtMs !== null) {
      for (const assignment of assignments) this.#accept(assignment, sentAtMs);
    }
    return null;
  }

  #onAbort(from: PeerId, body: unknown): null {
    const { attempts } = abortMessageSchema.parse(body);
    if (from !== this.#components.leader()) return null;
    for (const { jobId, fencingToken, reason } of attempts)
      this.#attempts.get(nameOf(jobId, fencingToken))?.stop(reason);
    return null;
  }

  /** X1 */
  #accept(assignment: Assignment, sentAtMs: number): void {
    const name = nameOf(assignment.jobId, assignment.fencingToken);
    const { session, log } = this.#components;
    if (this.#attempts.has(name) || assignment.sessionId !== session.sessionId) return;
    const attempt = new LocalAttempt(assignment, { sentAtMs, holdMs: assignment.holdMs });
    this.#attempts.set(name, attempt);
    log.debug(
      { jobId: assignment.jobId, attempt: assignment.attempt, type: assignment.type },
      'attempt begins',
    );
    this.#tasks.run(async () => {
      try {
        await this.#run(attempt);
      } finally {
        this.#attempts.delete(name);
        session.poke();
      }
    });
  }

  async #run(attempt: LocalAttempt): Promise<void> {
    const executor = this.#executors.get(attempt.assignment.type);
    if (executor === undefined || this.#isDraining) {
      await this.#settle(attempt, 'lose', {
        reason: this.#isDraining ? 'its node is stopping' : 'its node does not run this type',
      });
      return;
    }
    const result = await this.#execute(executor, attempt);
    const { kind, body } = outcomeOf(attempt.stopReason, result);
    if (kind !== null) await this.#settle(attempt, kind, body);
  }

  async #execute(executor: Executor, attempt: LocalAttempt): Promise<ExecutionResult> {
    const { self, clock, outputs, onProgress, log } = this.#components;
    const { jobId, attempt: number, fencingToken, payload, traceparent, timeoutMs } = attempt.assignment;
    const output = outputs.open(jobId, number);
    const timer = timeoutMs === null ? undefined : clock.setTimer(timeoutMs, () => attempt.stop('timeout'));
    try {
      return await executor.execute({
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
    } catch (error) {
      log.warn({ err: error, jobId, type: executor.type }, 'executor failed');
      const message = error instanceof Error ? error.message : String(error);
      const isOurs = error instanceof AspenError && error.retry === 'never';
      return {
        ok: false,
        error: { code: isOurs ? error.code : 'EXECUTOR_FAILED', message, retryable: !isOurs },
        result: null,
      };
    } finally {
      timer?.cancel();
      output.end();
    }
  }

  /** X3 */
  async #settle(attempt: LocalAttempt, kind: string, body: object): Promise<void> {
    const { group, clock, random, log, session } = this.#components;
    const { signal } = this.#abandoned;
    for (let tries = 1; ; tries += 1) {
      if (!session.checkSleep() && kind !== 'lose') return;
      try {
        await group.propose(
          { module: 'jobs', kind, body: { ...attempt.ref, ...body } },
          { timeoutMs: SETTLE_TRY_MS, signal },
        );
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AspenError)) throw error;
        if (error.retry === 'never') {
          log.info({ err: error, ...attempt.ref, kind }, 'outcome refused');
          return;
        }
        await sleep(clock, backoffMs(tries, random, { firstMs: 100, mostMs: 2_000 }), signal).catch(
          () => undefined,
        );
      }
    }
  }

  /** X2 */
  #watch(): void {
    if (!this.#components.session.checkSleep()) return;
    const nowMs = this.#components.clock.monotonicMs();
    for (const attempt of this.#attempts.values()) {
      if (nowMs < attempt.deadlineMs - HOLD_MARGIN_MS || attempt.isStopping) continue;
      this.#components.log.warn({ ...attempt.ref }, 'the leader was silent past the hold, attempt stopped');
      attempt.stop('lost');
    }
  }

  #stopAll(reason: StopReason): void {
    for (const attempt of this.#attempts.values()) attempt.stop(reason);
  }

  async #untilIdle(withinMs: number): Promise<void> {
    const { clock } = this.#components;
    const endMs = clock.monotonicMs() + withinMs;
    while (this.#attempts.size > 0 && clock.monotonicMs() < endMs) await sleep(clock, 20);
  }
}

/** What is proposed about an attempt that has ended; null when nothing may be. */
function outcomeOf(
  stopReason: StopReason | null,
  result: ExecutionResult,
): { readonly kind: string | null; readonly body: object } {
  if (stopReason === 'lost') return { kind: null, body: {} };
  if (result.ok) return { kind: 'complete', body: { result: result.result } };
  if (stopReason === 'cancelled') return { kind: 'cancelled', body: { result: result.result } };
  if (stopReason === 'shutdown') return { kind: 'lose', body: { reason: 'its node is stopping' } };
  return { kind: 'fail', body: { error: result.error, result: result.result } };
}

function nameOf(jobId: string, fencingToken: number): string {
  return `${jobId}/${fencingToken}`;
}
