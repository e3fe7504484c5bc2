import assert from 'node:assert/strict';
import { AspenError, type PeerId, SeededRandom, silentLogger, sleep } from '../../../src/base/index.ts';
import {
  type AttemptContext,
  type ExecutionResult,
  stoppedResult,
  stopReasonOf,
} from '../../../src/jobs/execution/executor.ts';
import { HOLD_MARGIN_MS } from '../../../src/jobs/holds.ts';
import { OutputStore, WorkerHost } from '../../../src/jobs/index.ts';
import type { Orders, WorkerReport } from '../../../src/jobs/wire.ts';
import type { Proposal } from '../../../src/lease/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const LEADER = 'leader' as PeerId;

/** A worker host whose leader, session and group are played by the test. */
class Stage {
  readonly clock = new ManualClock();
  readonly proposals: Proposal[] = [];
  readonly executed: AttemptContext[] = [];
  readonly failures: unknown[] = [];
  readonly outputs = new OutputStore();
  leader: PeerId | null = LEADER;
  sessionId: string | null = 'ses_1';
  isAsleep = false;
  /** What the group says to the next proposals, in order; `null` agrees. */
  answers: (AspenError | null)[] = [];
  report: () => WorkerReport = () => assert.fail('no reporter');
  readonly host: WorkerHost;
  #reply: (orders: unknown, at: { sentAtMs: number }) => void = () => undefined;
  readonly #handlers = new Map<string, (message: { from: PeerId; body: unknown }) => unknown>();

  constructor(slots = 2) {
    const self = 'ann' as PeerId;
    const stage = this;
    this.host = new WorkerHost(
      {
        self,
        executors: [{ type: 'work', execute: (attempt) => this.#execute(attempt) }],
        session: {
          get sessionId() {
            return stage.sessionId;
          },
          get lastConfirmedSentMs() {
            return 0;
          },
          setReporter: (reporter) => {
            stage.report = reporter as () => WorkerReport;
          },
          onReply: (callback) => {
            stage.#reply = callback;
          },
          onLost: () => ({ [Symbol.dispose]: () => undefined }),
          checkSleep: () => !stage.isAsleep,
          poke: () => undefined,
        },
        group: { propose: <R>(proposal: Proposal) => this.#propose(proposal) as Promise<R> },
        messenger: {
          handle: (method, handler) => {
            this.#handlers.set(method, handler);
            return { [Symbol.dispose]: () => void this.#handlers.delete(method) };
          },
        },
        outputs: this.outputs,
        clock: this.clock,
        random: new SeededRandom(1),
        log: silentLogger,
        leader: () => this.leader,
        labels: () => ({ zone: 'a' }),
        onProgress: () => undefined,
        onFailure: (error) => void this.failures.push(error),
      },
      { slots, drainMs: 1_000 },
    );
  }

  static async begin(slots?: number): Promise<Stage> {
    const stage = new Stage(slots);
    await stage.host.start();
    return stage;
  }

  deliver(method: string, body: unknown, from = LEADER): unknown {
    return this.#handlers.get(method)?.({ from, body });
  }

  assign(
    jobId: string,
    { from = LEADER, ms = 1_000, ...more }: { from?: PeerId; ms?: number; [field: string]: unknown } = {},
  ) {
    this.deliver('jobs/assign', { assignments: [assignment(jobId, ms, more)] }, from);
  }

  reply(orders: Partial<Orders>): void {
    this.#reply({ assign: [], abort: [], holds: [], ...orders }, { sentAtMs: this.clock.monotonicMs() });
  }

  replyRaw(orders: unknown): void {
    this.#reply(orders, { sentAtMs: this.clock.monotonicMs() });
  }

  told(): string[] {
    return this.proposals.map(({ kind, body }) => `${kind} ${(body as { jobId: string }).jobId}`);
  }

  async #propose(proposal: Proposal): Promise<unknown> {
    this.proposals.push(proposal);
    await Promise.resolve();
    const refusal = this.answers.shift() ?? null;
    if (refusal !== null) throw refusal;
    return {};
  }

  async #execute(attempt: AttemptContext): Promise<ExecutionResult> {
    this.executed.push(attempt);
    const { ms } = attempt.payload as { ms: number };
    if (ms < 0) throw new TypeError('the executor is broken');
    try {
      await sleep(this.clock, ms, attempt.signal);
      return { ok: true, result: attempt.jobId };
    } catch {
      return stoppedResult(stopReasonOf(attempt.signal) ?? 'shutdown', 'partial');
    }
  }
}

function assignment(jobId: string, ms: number, more: object = {}) {
  return {
    jobId,
    attempt: 1,
    fencingToken: 7,
    sessionId: 'ses_1',
    type: 'work',
    payload: { ms },
    timeoutMs: null,
    traceparent: null,
    holdMs: 4_000,
    ...more,
  };
}

const ref = (jobId: string) => ({ jobId, attempt: 1, fencingToken: 7 });
const unavailable = () => new AspenError('UNAVAILABLE', 'nobody there');

describe('a worker host', () => {
  it('runs what the leader assigns in its present session, and nothing else (X1)', async () => {
    const stage = await Stage.begin();
    stage.assign('job_stranger', { from: 'mallory' as PeerId });
    stage.assign('job_old', { sessionId: 'ses_0' });
    stage.leader = null;
    stage.assign('job_nobody');
    stage.leader = LEADER;
    stage.assign('job_good', { ms: 10 });
    await stage.clock.advance(100);
    assert.deepEqual(
      stage.executed.map(({ jobId }) => jobId),
      ['job_good'],
    );
    assert.deepEqual(stage.told(), ['complete job_good']);
  });

  it('refuses malformed messages, and takes no harm from malformed orders', async () => {
    const stage = await Stage.begin();
    for (const body of [null, 7, { assignments: [{ jobId: 3 }] }, { assignments: {} }]) {
      assert.throws(() => stage.deliver('jobs/assign', body), { code: 'INVALID_PARAMS' });
    }
    assert.throws(() => stage.deliver('jobs/abort', { attempts: [{}] }), { code: 'INVALID_PARAMS' });
    stage.assign('job_a');
    for (const orders of [null, 'stop', { holds: [{}] }]) stage.replyRaw(orders);
    await stage.clock.advance(1_100);
    assert.deepEqual(stage.told(), ['complete job_a']);
  });

  it('does not begin what is over, though it is assigned again: it gives it back (X1)', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { ms: 0 });
    await stage.clock.advance(10);
    stage.reply({ assign: [assignment('job_a', 0)] });
    await stage.clock.advance(10);
    assert.equal(stage.executed.length, 1);
    assert.deepEqual(stage.told(), ['complete job_a', 'lose job_a']);
  });

  it('does not begin what was aborted before it came', async () => {
    const stage = await Stage.begin();
    stage.deliver('jobs/abort', { attempts: [{ ...ref('job_a'), reason: 'cancelled' }] });
    stage.assign('job_a');
    await stage.clock.advance(2_000);
    assert.equal(stage.executed.length, 0);
    assert.equal(stage.told()[0], 'cancelled job_a');
  });

  it('executes no more at once than it has slots, whatever it is given (X4)', async () => {
    const stage = await Stage.begin(2);
    for (const id of ['job_a', 'job_b', 'job_c', 'job_d']) stage.assign(id, { ms: 1_000 });
    await stage.clock.advance(500);
    assert.equal(stage.executed.length, 2);
    assert.equal(stage.report().attempts.length, 4, 'it holds them all');
    await stage.clock.advance(1_000);
    assert.equal(stage.executed.length, 4);
  });

  it('that waits for a slot when it is cancelled says so, and its slot is not taken', async () => {
    const stage = await Stage.begin(1);
    stage.assign('job_a', { ms: 1_000 });
    stage.assign('job_b', { ms: 1_000 });
    stage.assign('job_c', { ms: 100 });
    stage.deliver('jobs/abort', { attempts: [{ ...ref('job_b'), reason: 'cancelled' }] });
    await stage.clock.advance(1_200);
    assert.deepEqual(stage.told(), ['cancelled job_b', 'complete job_a', 'complete job_c']);
    assert.deepEqual(
      stage.executed.map(({ jobId }) => jobId),
      ['job_a', 'job_c'],
    );
  });

  it('stops an attempt before its hold is over, each renewal grants a new one (X2, H1)', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { ms: 60_000 });
    await stage.clock.advance(3_000);
    stage.reply({ holds: [{ ...ref('job_a'), holdMs: 4_000 }] });
    await stage.clock.advance(3_000);
    assert.equal(stage.executed[0]?.signal.aborted, false);
    await stage.clock.advance(4_000 - HOLD_MARGIN_MS - 3_000 + 250);
    assert.equal(stage.executed[0]?.signal.reason, 'lost');
    assert.ok(stage.clock.monotonicMs() < 3_000 + 4_000);
    assert.deepEqual(stage.told(), ['lose job_a'], 'what it stopped itself is given back, never completed');
  });

  it('takes the time of a sleep from the holds, however short it was (X2)', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { ms: 60_000 });
    await stage.clock.advance(1_000);
    stage.clock.wallOffsetMs += 1_500;
    await stage.clock.advance(1_500);
    assert.equal(stage.executed[0]?.signal.reason, 'lost');
  });

  it('says nothing about an attempt of which the group knows nothing any more', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a');
    stage.reply({ abort: [{ ...ref('job_a'), reason: 'lost' }] });
    await stage.clock.advance(2_000);
    assert.equal(stage.executed[0]?.signal.reason, 'lost');
    assert.deepEqual(stage.told(), []);
    assert.equal(stage.host.runningCount, 0);
  });

  it('writes nothing in the name of a session that a sleep has ended, but gives back', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { ms: 100 });
    stage.isAsleep = true;
    await stage.clock.advance(200);
    assert.deepEqual(stage.told(), []);
  });

  it('proposes an outcome until it is agreed, and reports the attempt until then (X3)', async () => {
    const stage = await Stage.begin();
    stage.answers = [unavailable(), unavailable(), unavailable()];
    stage.assign('job_a', { ms: 0 });
    await stage.clock.advance(20);
    assert.deepEqual(stage.report().attempts, [ref('job_a')]);
    await stage.clock.advance(5_000);
    assert.deepEqual(
      stage.told(),
      Array.from({ length: 4 }, () => 'complete job_a'),
    );
    assert.deepEqual(stage.report().attempts, []);
  });

  it('ends with what the group says for good', async () => {
    const stage = await Stage.begin();
    stage.answers = [new AspenError('FENCED', 'attempt 2 holds it')];
    stage.assign('job_a', { ms: 0 });
    await stage.clock.advance(5_000);
    assert.deepEqual(stage.told(), ['complete job_a']);
    assert.equal(stage.host.runningCount, 0);
  });

  it('gives back what it does not run, and fails what its executor cannot do', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { type: 'unheard-of' });
    stage.assign('job_b', { ms: -1 });
    await stage.clock.advance(10);
    assert.deepEqual(stage.told().toSorted(), ['fail job_b', 'lose job_a']);
    const failed = stage.proposals.find(({ kind }) => kind === 'fail')?.body as { error: object };
    assert.deepEqual(failed.error, {
      code: 'EXECUTOR_FAILED',
      message: 'the executor is broken',
      retryable: true,
    });
    assert.deepEqual(stage.failures, []);
  });

  it('stops what runs longer than its timeout, and keeps its result', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { timeoutMs: 500 });
    await stage.clock.advance(600);
    const { kind, body } = stage.proposals[0] as Proposal;
    const { error, result } = body as { error: { code: string }; result: unknown };
    assert.deepEqual([kind, error.code, result], ['fail', 'TIMEOUT', 'partial']);
  });

  it('that stops lets attempts finish, hands over the rest as nobody is to blame, and takes no more', async () => {
    const stage = await Stage.begin(3);
    stage.assign('job_a', { ms: 500 });
    stage.assign('job_b', { ms: 60_000 });
    const stopping = stage.host.stop();
    assert.equal(stage.report().isDraining, true);
    stage.assign('job_c');
    await stage.clock.until(stopping);
    assert.deepEqual(stage.told(), ['lose job_c', 'complete job_a', 'lose job_b']);
    const losses = stage.proposals.filter(({ kind }) => kind === 'lose');
    for (const { body } of losses) assert.equal((body as { isHandedOver?: boolean }).isHandedOver, true);
    assert.ok(stage.clock.monotonicMs() < 2_000);
  });

  it('that stops without a group gives up handing over after a while', async () => {
    const stage = await Stage.begin();
    stage.assign('job_a', { ms: 60_000 });
    stage.answers = Array.from({ length: 100 }, unavailable);
    await stage.clock.until(stage.host.stop(), 10_000);
    assert.deepEqual(stage.failures, []);
  });

  it('tells what it offers', async () => {
    const stage = await Stage.begin(5);
    assert.deepEqual(stage.report(), {
      labels: { zone: 'a' },
      types: ['work'],
      slots: 5,
      isDraining: false,
      attempts: [],
    });
  });
});
