import assert from 'node:assert/strict';
import {
  AspenError,
  decode,
  encode,
  Listeners,
  type PeerId,
  SeededRandom,
  silentLogger,
  sleep,
  type Term,
} from '../../../src/base/index.ts';
import type { AttemptContext, ExecutionResult, Executor } from '../../../src/jobs/execution/executor.ts';
import { stoppedResult, stopReasonOf } from '../../../src/jobs/execution/executor.ts';
import {
  Dispatcher,
  type JobSpecInput,
  type JobView,
  jobsModule,
  OutputStore,
  resolveJobSpec,
  serveWaiters,
  submitBody,
  WorkerHost,
} from '../../../src/jobs/index.ts';
import {
  type CallOptions,
  type Proposal,
  type Proposed,
  SessionHolder,
  SessionKeeper,
} from '../../../src/lease/index.ts';
import { commandOf, LeaderTerm } from '../../../src/lease/leader-term.ts';
import {
  encodeBatch,
  type Fact,
  MACHINE_VERSION,
  type MachineModule,
  sessionsModule,
} from '../../../src/lease/machine/index.ts';
import type { Submission } from '../../../src/lease/submission.ts';
import { Bench } from '../lease/machine/support.ts';
import { ManualClock } from '../lease/manual-clock.ts';

/** Enough of a mesh's members for sessions to be held. */
const membersTwin: MachineModule = {
  name: 'members',
  tables: ['members'],
  commands: {
    admit: {
      since: 1,
      parse: (body) => body,
      apply: ({ peerId }, context) =>
        context.table('members').put(peerId, {
          role: 'worker',
          revokedAtMs: null,
          understandsVersion: MACHINE_VERSION,
        }),
    },
    revoke: {
      since: 1,
      parse: (body) => body,
      apply: ({ peerId }, context) => context.emit({ type: 'revoked', peerId }),
    },
  },
  queries: {},
};

/** One execution of an attempt, as it was seen on its node. */
export interface Execution {
  readonly node: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly fromMs: number;
  toMs: number | null;
  stoppedBy: string | null;
}

const LEADER = 'leader' as PeerId;
const HOP_MS = 1;

/** A leader's parts and any number of worker nodes, on one replica and a clock that the test moves. */
export class JobsWorld {
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(1);
  readonly executions: Execution[] = [];
  readonly nodes = new Map<string, WorldNode>();
  /** Decides what becomes of a message to a node: how often it arrives. */
  copiesOf: (to: string, method: string) => number = () => 1;
  leading: LeaderTerm | undefined;
  readonly failures: unknown[] = [];
  readonly #bench = new Bench([membersTwin, sessionsModule, jobsModule]);
  readonly #proposed = new Listeners<Proposed>();
  #factListeners = new Set<(facts: readonly Fact[]) => void>();
  #submissions: Submission[] = [];
  #term = 0;

  constructor() {
    this.#bench.apply({ module: 'machine', kind: 'raise', body: { version: MACHINE_VERSION } });
    this.elect();
  }

  get machine() {
    return this.#bench.machine;
  }

  /** Ends the leadership and begins the next one, on the same replica. */
  elect(): void {
    this.resign();
    this.#term += 1;
    const times = { term: this.#term as Term, groupMs: this.machine.groupMs };
    const leading = new LeaderTerm({ replica: this.#replica(), clock: this.clock }, times);
    this.leading = leading;
    const log = silentLogger;
    const { clock, random } = this;
    const sessions = new SessionKeeper({ leadership: leading, clock, random, log });
    leading.hold(sessions);
    leading.hold(serveWaiters(leading, clock));
    const messenger = { send: (to: PeerId, method: string, body: unknown) => this.#send(to, method, body) };
    leading.hold(
      new Dispatcher({
        leadership: leading,
        sessions,
        messenger,
        clock,
        random,
        log,
        roleOf: () => 'worker',
        onFailure: (error) => this.failures.push(error),
      }),
    );
  }

  resign(): void {
    this.leading?.end();
    this.leading = undefined;
  }

  async addNode(name: string, options: { slots?: number; drainMs?: number } = {}): Promise<WorldNode> {
    await this.propose({ module: 'members', kind: 'admit', body: { peerId: name } });
    const node = new WorldNode(this, name, { slots: 2, ...options });
    this.nodes.set(name, node);
    await node.start();
    await this.clock.advance(20);
    return node;
  }

  async submit(spec: Partial<JobSpecInput> = {}, id = `job_${this.random.uint32()}`): Promise<string> {
    const jobs = [{ id, spec: resolveJobSpec({ type: 'work', ...spec }) }];
    await this.propose({ module: 'jobs', kind: 'submit', body: submitBody(jobs) });
    return id;
  }

  async cancel(id: string): Promise<void> {
    await this.propose({ module: 'jobs', kind: 'cancel', body: { id, reason: 'enough' } });
  }

  async propose(proposal: Proposal): Promise<unknown> {
    assert.ok(this.leading !== undefined, 'somebody leads');
    return this.clock.until(this.leading.propose(proposal));
  }

  job(id: string): JobView {
    return this.#bench.query('jobs', 'get', { id }) as JobView;
  }

  executionsOf(jobId: string): Execution[] {
    return this.executions.filter((execution) => execution.jobId === jobId);
  }

  ask(method: string, body: unknown, from = LEADER): Promise<unknown> {
    const { leading } = this;
    if (leading === undefined) return Promise.reject(new AspenError('NOT_LEADER', 'nobody leads'));
    return Promise.resolve().then(() => leading.answer(method, { from, body }));
  }

  /** X1, X4, H1: no attempt begins twice, no job is executed in two places at once, no node works beyond its slots. */
  checkLaws(): void {
    assert.deepEqual(this.failures, []);
    const names = this.executions.map(({ jobId, fencingToken }) => `${jobId}/${fencingToken}`);
    assert.equal(new Set(names).size, names.length, 'an attempt began twice');
    for (const [jobId, list] of Map.groupBy(this.executions, (one) => one.jobId)) {
      const inOrder = list.toSorted((left, right) => left.fromMs - right.fromMs);
      for (const [at, later] of inOrder.entries()) {
        const earlier = inOrder[at - 1];
        if (earlier === undefined) continue;
        const endMs = earlier.toMs ?? Number.POSITIVE_INFINITY;
        assert.ok(
          endMs <= later.fromMs,
          `${jobId} ran on ${earlier.node} until ${endMs}, and on ${later.node} from ${later.fromMs}`,
        );
        assert.ok(earlier.fencingToken < later.fencingToken);
      }
    }
    for (const node of this.nodes.values()) assert.ok(node.mostAtOnce <= node.slots, `${node.name}: slots`);
  }

  #replica() {
    return {
      machineVersion: this.machine.version,
      submit: (submission: Submission) => {
        this.#submissions.push(submission);
        if (this.#submissions.length === 1) this.clock.setTimer(HOP_MS, () => this.#commit());
        this.#announce(submission);
      },
      read: (module: string) => this.machine.read(module),
      onFacts: (callback: (facts: readonly Fact[]) => void) => {
        this.#factListeners.add(callback);
        return { [Symbol.dispose]: () => void this.#factListeners.delete(callback) };
      },
      onProposed: (callback: (proposed: Proposed) => void) => this.#proposed.add(callback),
      confirm: () => sleep(this.clock, HOP_MS),
    };
  }

  /** As the replica does for what it lets in. */
  #announce({ command }: Submission): void {
    const { module, kind, body } = command;
    try {
      this.machine.admit(command);
    } catch (error) {
      if (error instanceof AspenError) return; // refused when its turn comes
      throw error;
    }
    this.#proposed.emit({ module, kind, body: this.machine.admittedBody({ body }) });
  }

  #commit(): void {
    const submissions = this.#submissions;
    this.#submissions = [];
    const { leading } = this;
    if (leading === undefined) {
      for (const { onFailure } of submissions) onFailure(new AspenError('NOT_LEADER', 'nobody leads'));
      return;
    }
    const accepted = submissions.filter((submission) => this.#admits(submission));
    if (accepted.length === 0) return;
    const payload = encodeBatch({
      epoch: 1,
      version: MACHINE_VERSION,
      groupMs: leading.groupMs(),
      wallMs: this.clock.wallMs(),
      commands: accepted.map(({ command }) => command),
    });
    const index = this.machine.appliedIndex + 1;
    const entry = { term: leading.term, index: index as typeof this.machine.appliedIndex, payload };
    const { outcomes, facts } = this.machine.applyEntry({ ...entry, kind: 'command' });
    for (const listener of [...this.#factListeners]) listener(facts);
    accepted.forEach(({ onOutcome }, at) => {
      onOutcome(outcomes[at] as (typeof outcomes)[number]);
    });
  }

  #admits({ command, onFailure }: Submission): boolean {
    try {
      this.machine.admit(command);
      return true;
    } catch (error) {
      onFailure(error as AspenError);
      return false;
    }
  }

  #send(to: PeerId, method: string, body: unknown): boolean {
    const node = this.nodes.get(to);
    const copies = node?.isLinked ? this.copiesOf(to, method) : 0;
    for (let copy = 1; copy <= copies; copy += 1) {
      this.clock.setTimer(HOP_MS * copy, () => node?.deliver(method, decode(encode(body))));
    }
    return copies > 0;
  }
}

/** A worker node: the real session holder and worker host, and an executor that can be watched. */
export class WorldNode {
  readonly name: string;
  readonly slots: number;
  isLinked = true;
  mostAtOnce = 0;
  session: SessionHolder;
  worker: WorkerHost;
  #runCount = 0;
  #isDead = false;
  readonly #world: JobsWorld;
  readonly #options: { readonly slots: number; readonly drainMs?: number };
  #handlers = new Map<string, (message: { from: PeerId; body: unknown }) => unknown>();

  constructor(world: JobsWorld, name: string, options: { slots: number; drainMs?: number }) {
    this.#world = world;
    this.name = name;
    this.slots = options.slots;
    this.#options = options;
    [this.session, this.worker] = this.#build();
  }

  async start(): Promise<void> {
    await this.worker.start();
    await this.session.start();
  }

  /** As `kill -9` and a new start: whatever ran is gone, and nothing of it is told. */
  async restart(): Promise<void> {
    this.die();
    this.#isDead = false;
    [this.session, this.worker] = this.#build();
    await this.start();
  }

  die(): void {
    this.#isDead = true;
    this.#handlers = new Map();
    for (const execution of this.#world.executions)
      if (execution.node === this.name) execution.toMs ??= this.#world.clock.monotonicMs();
    void this.session.stop();
  }

  deliver(method: string, body: unknown): void {
    if (this.isLinked) this.#handlers.get(method)?.({ from: LEADER, body });
  }

  #build(): [SessionHolder, WorkerHost] {
    this.#runCount += 1;
    const { clock, random, failures } = this.#world;
    const run = this.#runCount;
    const isAlive = () => run === this.#runCount && !this.#isDead;
    const client = {
      askLeader: <R>(method: string, body: unknown, options?: CallOptions) =>
        this.#call<R>(isAlive, options, () => this.#world.ask(method, body, this.name as PeerId)),
      propose: <R>(proposal: Proposal, options?: CallOptions) =>
        this.#call<R>(isAlive, options, () => this.#proposeOnce(proposal)),
      query: () => Promise.reject(new AspenError('UNAVAILABLE', 'no queries here')),
    };
    const onFailure = (error: unknown) => void failures.push(error);
    const log = silentLogger;
    const session = new SessionHolder(
      { client, clock, log, onFailure },
      { incarnation: `${this.name}-${run}` },
    );
    const worker = new WorkerHost(
      {
        self: this.name as PeerId,
        executors: [new WatchedExecutor(this.#world, this, isAlive)],
        session,
        group: client,
        messenger: {
          handle: (method, handler) => {
            this.#handlers.set(method, handler);
            return { [Symbol.dispose]: () => void this.#handlers.delete(method) };
          },
        },
        outputs: new OutputStore(),
        clock,
        random,
        log,
        leader: () => LEADER,
        labels: () => ({ name: this.name }),
        onProgress: () => undefined,
        onFailure,
      },
      this.#options,
    );
    return [session, worker];
  }

  #proposeOnce(proposal: Proposal): Promise<unknown> {
    const { leading } = this.#world;
    if (leading === undefined) return Promise.reject(new AspenError('NOT_LEADER', 'nobody leads'));
    commandOf(proposal);
    return leading.propose(proposal);
  }

  /** There and back takes a hop each; what is sent or answered over a cut link is never heard of again. */
  async #call<R>(
    isAlive: () => boolean,
    { timeoutMs = 10_000, signal }: CallOptions = {},
    work: () => Promise<unknown>,
  ): Promise<R> {
    const { clock } = this.#world;
    const startedMs = clock.monotonicMs();
    const late = async () => {
      await sleep(clock, Math.max(0, startedMs + timeoutMs - clock.monotonicMs()), signal);
      throw new AspenError('DEADLINE_EXCEEDED', 'no answer');
    };
    signal?.throwIfAborted();
    await sleep(clock, HOP_MS, signal);
    if (!isAlive()) return new Promise(() => undefined);
    if (!this.isLinked) return late();
    let answer: unknown;
    try {
      answer = decode(encode(await work()));
    } catch (error) {
      if (!this.isLinked) return late();
      if (error instanceof AspenError && error.code === 'NOT_LEADER') {
        throw new AspenError('UNAVAILABLE', 'nobody leads', { cause: error });
      }
      throw error;
    }
    await sleep(clock, HOP_MS, signal);
    if (!isAlive()) return new Promise(() => undefined);
    return this.isLinked ? (answer as R) : late();
  }

  noteRunning(count: number): void {
    this.mostAtOnce = Math.max(this.mostAtOnce, count);
  }
}

interface Work {
  /** How long it takes; for ever when absent. */
  readonly ms?: number;
  /** It gives no heed to being stopped for so long, except for a lost hold, which kills. */
  readonly stubbornMs?: number;
  readonly failsBelowAttempt?: number;
  readonly resultBytes?: number;
}

class WatchedExecutor implements Executor {
  readonly type = 'work';
  readonly #world: JobsWorld;
  readonly #node: WorldNode;
  readonly #isAlive: () => boolean;
  #running = 0;

  constructor(world: JobsWorld, node: WorldNode, isAlive: () => boolean) {
    this.#world = world;
    this.#node = node;
    this.#isAlive = isAlive;
  }

  async execute({
    jobId,
    attempt,
    fencingToken,
    payload,
    signal,
    output,
  }: AttemptContext): Promise<ExecutionResult> {
    const { clock, executions } = this.#world;
    const { ms = 1e9, stubbornMs = 0, failsBelowAttempt = 0, resultBytes = 0 } = (payload ?? {}) as Work;
    const { name } = this.#node;
    const fromMs = clock.monotonicMs();
    const execution: Execution = {
      node: name,
      jobId,
      attempt,
      fencingToken,
      fromMs,
      toMs: null,
      stoppedBy: null,
    };
    executions.push(execution);
    this.#running += 1;
    this.#node.noteRunning(this.#running);
    output.write('stdout', new TextEncoder().encode(`begun on ${name}\n`));
    try {
      await sleep(clock, ms, signal);
    } catch {
      const reason = stopReasonOf(signal) ?? 'shutdown';
      execution.stoppedBy = reason;
      if (reason !== 'lost') await sleep(clock, stubbornMs);
      return stoppedResult(reason, null);
    } finally {
      if (this.#isAlive()) execution.toMs ??= clock.monotonicMs();
      this.#running -= 1;
    }
    if (attempt < failsBelowAttempt) {
      return { ok: false, error: { code: 'FAILED', message: 'not yet', retryable: true }, result: null };
    }
    return {
      ok: true,
      result: resultBytes > 0 ? 'x'.repeat(resultBytes) : { node: name, attempt, fencingToken },
    };
  }
}
