import {
  AspenError,
  type Clock,
  Listeners,
  type PeerId,
  SeededRandom,
  silentLogger,
  toWireError,
} from '../../../src/base/index.ts';
import type { RecoveredAttempt } from '../../../src/jobs/execution/executor.ts';
import {
  type AttemptContext,
  type ExecutionResult,
  type Executor,
  OutputStore,
  type PayloadSource,
  WorkerHost,
} from '../../../src/jobs/index.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import {
  type AbortOrder,
  type Assignment,
  METHODS,
  type Orders,
  type WorkerReport,
} from '../../../src/jobs/wire.ts';
import type { LostSession, Proposal } from '../../../src/lease/index.ts';

/** Runs until the test says how it ends. */
export class HeldExecutor implements Executor {
  readonly type: string;
  /** What an earlier agent is said to have begun; given out once. */
  recoverable: RecoveredAttempt[] = [];
  readonly toldOf: AttemptRef[] = [];
  readonly begun: (AttemptContext & { end(result: ExecutionResult): void; fail(error: unknown): void })[] =
    [];
  /** Whether it ends by itself when it is asked to stop. */
  obeys = true;

  constructor(type = 'echo') {
    this.type = type;
  }

  async recover(): Promise<readonly RecoveredAttempt[]> {
    return this.recoverable.splice(0);
  }

  settled(ref: AttemptRef): void {
    this.toldOf.push(ref);
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    return new Promise((resolve, reject) => {
      this.begun.push({ ...attempt, signal: attempt.signal, end: resolve, fail: reject });
      attempt.signal.addEventListener('abort', () => {
        const error = { code: 'STOPPED', message: String(attempt.signal.reason), retryable: true };
        if (this.obeys) resolve({ ok: false, error, result: 'so far' });
      });
    });
  }
}

export interface Told {
  readonly kind: string;
  readonly body: {
    readonly jobId: string;
    readonly error?: { readonly code: string };
    readonly [field: string]: unknown;
  };
}

/** One worker; the test plays leader, group and session. */
export class WorkerWorld {
  readonly clock: Clock;
  readonly executor = new HeldExecutor();
  readonly told: Told[] = [];
  readonly failures: unknown[] = [];
  /** What the group answers to the next proposals; it agrees to the others. */
  readonly refusals: AspenError[] = [];
  isCutOff = false;
  sessionId: string | null = 'ses_1';
  lastConfirmedSentMs: number | null = 0;
  hasSlept = false;
  isConfirmed = true;
  pokeCount = 0;
  commandCount = 0;
  readonly outputs = new OutputStore();
  readonly progressed: unknown[] = [];
  report: () => WorkerReport = () => {
    throw new Error('no reporter');
  };
  obey: (orders: unknown, at: { sentAtMs: number }) => void = () => undefined;
  readonly lost = new Listeners<LostSession>();
  readonly #handlers = new Map<string, (message: { from: PeerId; body: unknown }) => unknown>();
  leader: PeerId | null = 'lead' as PeerId;
  /** What fetches payloads that are blobs. */
  fetchPayload: PayloadSource['fetch'] = async () => {
    throw new Error('no payload is a blob');
  };
  readonly host: WorkerHost;

  constructor(clock: Clock, { slots = 10, slotsMost = 0, drainMs = 1_000 } = {}) {
    this.clock = clock;
    const world = this;
    this.host = new WorkerHost(
      {
        self: 'self' as PeerId,
        executors: [this.executor],
        session: {
          get sessionId() {
            return world.sessionId;
          },
          get lastConfirmedSentMs() {
            return world.lastConfirmedSentMs;
          },
          setReporter: (reporter) => {
            this.report = reporter as () => WorkerReport;
          },
          onReply: (callback) => {
            this.obey = callback;
          },
          onLost: (callback) => this.lost.add(callback),
          checkSleep: () => !this.hasSlept,
          get isConfirmed() {
            return world.isConfirmed;
          },
          poke: () => {
            this.pokeCount += 1;
          },
        },
        group: { propose: (proposal) => this.#propose(proposal) as Promise<never> },
        messenger: {
          handle: (method, handler) => {
            this.#handlers.set(method, handler);
            return { [Symbol.dispose]: () => void this.#handlers.delete(method) };
          },
        },
        outputs: this.outputs,
        clock,
        random: new SeededRandom(1),
        log: silentLogger,
        leader: () => this.leader,
        labels: () => ({}),
        payloads: { fetch: (payload, options) => this.fetchPayload(payload, options) },
        onProgress: (jobId, fencingToken, progress) =>
          void this.progressed.push({ jobId, fencingToken, progress }),
        onFailure: (error) => void this.failures.push(error),
      },
      { slots, slotsMost, drainMs },
    );
  }

  async #propose({ kind, body }: Proposal): Promise<unknown> {
    await Promise.resolve();
    if (this.isCutOff) throw new AspenError('NO_QUORUM', 'cut off');
    this.commandCount += 1;
    if (kind !== 'settle') throw new Error(`a worker proposes no ${kind}`);
    return (body as { items: (Told['body'] & { kind: string })[] }).items.map(({ kind, ...told }) => {
      this.told.push({ kind, body: told });
      const refusal = this.refusals.shift();
      return refusal === undefined
        ? { state: 'succeeded', outcome: 'succeeded' }
        : { error: toWireError(refusal) };
    });
  }

  assign(...assignments: Partial<Assignment>[]): void {
    const full = assignments.map((assignment) => this.assignment(assignment));
    this.#handlers.get(METHODS.assign)?.({ from: 'lead' as PeerId, body: { assignments: full } });
  }

  assignment(assignment: Partial<Assignment> = {}): Assignment {
    const name = {
      jobId: 'job_1',
      attempt: 1,
      fencingToken: 7,
      sessionId: 'ses_1',
      pool: null,
      type: 'echo',
    };
    return {
      ...name,
      payload: null,
      timeoutMs: null,
      heartbeatTimeoutMs: null,
      traceparent: null,
      holdMs: 4_000,
      ...assignment,
    };
  }

  abort(order: Partial<AbortOrder>, from = 'lead'): void {
    const attempts = [{ jobId: 'job_1', attempt: 1, fencingToken: 7, reason: 'cancelled', ...order }];
    this.#handlers.get(METHODS.abort)?.({ from: from as PeerId, body: { attempts } });
  }

  /** The answer to a renewal that was sent now. */
  renew(orders: Partial<Orders> = {}): void {
    this.lastConfirmedSentMs = this.clock.monotonicMs();
    this.obey({ assign: [], abort: [], holds: [], ...orders }, { sentAtMs: this.lastConfirmedSentMs });
  }

  kinds(): string[] {
    return this.told.map(({ kind }) => kind);
  }
}
