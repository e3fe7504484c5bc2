import {
  AspenError,
  type Clock,
  every,
  fromWireError,
  type Outcome,
  type PeerId,
  type Random,
  SlotMap,
  type Startable,
  sleep,
  Tasks,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import {
  diskFull,
  groupMethod,
  isWorthAsking,
  noQuorum,
  refusedAfterUnknown,
  unanswered,
} from './call-errors.ts';
import type { CallOptions, GroupClient, Proposal, Query } from './group.ts';
import { FORWARDED_LIMIT, type WireAnswer } from './group-server.ts';
import type { LeaderFinder } from './leader-finder.ts';
import { LeaderQuestions, nextPause, PAUSE_MS, TRY_TIMEOUT_MS } from './leader-questions.ts';
import { commandOf } from './leader-term.ts';
import { LeaderTries } from './leader-tries.ts';
import { type Command, type CommandOutcome, commandToWire, fromWireOutcome } from './machine/index.ts';
import type { Replica } from './replica/index.ts';

export interface ClientComponents {
  readonly self: PeerId;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  readonly finder: LeaderFinder;
  readonly onFailure: (error: unknown) => void;
}

export interface ClientOptions {
  readonly group: string;
  /** Names this run of this node; no two runs may share it. */
  readonly client: string;
  /** @default 10_000 */
  readonly timeoutMs?: number;
  /** A call for which no leader was found for this long gives up before its timeout. @default 5_000 */
  readonly leaderlessMs?: number;
  /** Calls that may be under way at once. @default 100_000 */
  readonly callsLimit?: number;
}

interface Call {
  readonly sequence: number;
  readonly command: Command;
  /** Its body before it was encoded. */
  readonly given: unknown;
  readonly startedAtMs: number;
  readonly deadlineMs: number;
  /** It reached a leader's log, or may have: from now on only an answer tells what became of it. */
  mayBeApplied: boolean;
  /** A try is on its way and not answered: until it is, it may reach a log. */
  isUnderWay: boolean;
  readonly settle: (outcome: CommandOutcome) => void;
  readonly reject: (error: unknown) => void;
  /** Ends the call's interest in the caller's signal, which may live as long as the node does. */
  unfollow?: () => void;
}

const SWEEP_MS = 100;
/** Where nobody has asked for anything. */
const REST_MS = 250;
/** Bodies of the commands in one message. Unit: bytes. */
const FORWARDED_BYTES = 1.5 * 2 ** 20;

/**
 * Talks to the group from any node.
 *
 * - G1 A call keeps its sequence over all tries, so that it has one effect; a sequence is never used for another call.
 * - G2 `acknowledgedThrough` names only calls that are settled here.
 * - G3 A call that no log can hold ends `not-applied`; one that a log may hold ends with its outcome or as unknown.
 */
export class LeaderClient implements GroupClient, Startable {
  readonly #components: ClientComponents;
  readonly #options: Required<ClientOptions>;
  readonly #tasks: Tasks;
  readonly #tries: LeaderTries;
  readonly #questions: LeaderQuestions;
  /** Oldest first. */
  readonly #calls = new SlotMap<number, Call>();
  #outgoing: Call[] = [];
  #isSendDue = false;
  #isSearching = false;
  #lastSequence = 0;
  #leaderSeenAtMs: number;
  #sweep: Disposable | undefined;

  constructor(components: ClientComponents, options: ClientOptions) {
    this.#components = components;
    this.#options = {
      group: options.group,
      client: options.client,
      timeoutMs: options.timeoutMs ?? 10_000,
      leaderlessMs: options.leaderlessMs ?? 5_000,
      callsLimit: options.callsLimit ?? 100_000,
    };
    this.#tasks = new Tasks(components.onFailure);
    this.#tries = new LeaderTries(components);
    this.#questions = new LeaderQuestions({ ...components, tries: this.#tries }, this.#options);
    this.#leaderSeenAtMs = components.clock.monotonicMs();
  }

  async start(): Promise<void> {
    const pauseMs = () => (this.#calls.size === 0 && this.#tries.isIdle ? REST_MS : SWEEP_MS);
    this.#sweep = every(this.#components.clock, pauseMs, () => {
      this.#tries.giveUpReplaced();
      this.#expire();
    });
  }

  async stop(): Promise<void> {
    this.#sweep?.[Symbol.dispose]();
    for (const call of this.#calls.values()) {
      this.#fail(call, stopping(isUncertain(call) ? 'unknown' : 'not-applied'));
    }
    await this.#tasks.stop();
  }

  propose<R = unknown>(proposal: Proposal, options: CallOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted();
      if (this.#tasks.signal.aborted) throw stopping('not-applied');
      const call = this.#open(proposal, options, {
        settle: (outcome) =>
          outcome.ok ? resolve(outcome.result as R) : reject(fromWireError(outcome.error)),
        reject,
      });
      if (options.signal !== undefined) this.#followSignal(call, options.signal);
      this.#dispatch(call);
    });
  }

  async query<R = unknown>(query: Query, options: CallOptions = {}): Promise<R> {
    return (await this.#questions.query(query, options)) as R;
  }

  async askLeader<R = unknown>(method: string, body: unknown, options: CallOptions = {}): Promise<R> {
    return (await this.#questions.askLeader(method, body, options)) as R;
  }

  #open(
    proposal: Proposal,
    { timeoutMs = this.#options.timeoutMs }: CallOptions,
    ends: Pick<Call, 'settle' | 'reject'>,
  ): Call {
    if (this.#calls.size >= this.#options.callsLimit) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${this.#calls.size} calls to the group are under way`, {
        details: { limit: 'callsLimit', retryAfterMs: SWEEP_MS },
      });
    }
    this.#lastSequence += 1; // G1
    const startedAtMs = this.#components.clock.monotonicMs();
    const call: Call = {
      sequence: this.#lastSequence,
      command: commandOf(proposal),
      given: proposal.body,
      startedAtMs,
      deadlineMs: startedAtMs + timeoutMs,
      mayBeApplied: false,
      isUnderWay: false,
      ...ends,
    };
    this.#calls.set(call.sequence, call);
    return call;
  }

  #followSignal(call: Call, signal: AbortSignal): void {
    const onAbort = () => this.#fail(call, signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    call.unfollow = () => signal.removeEventListener('abort', onAbort);
  }

  #dispatch(call: Call): void {
    const { replica } = this.#components;
    if (replica.leading === undefined) {
      this.#outgoing.push(call);
      this.#scheduleSend();
      return;
    }
    this.#leaderSeenAtMs = this.#components.clock.monotonicMs();
    call.isUnderWay = true;
    replica.submit({
      command: this.#stamped(call),
      given: call.given,
      onOutcome: (outcome) => this.#settle(call, outcome),
      onFailure: (error) => this.#onTryFailed(call, error),
    });
  }

  #stamped({ command, sequence }: Call): Command {
    const { client } = this.#options;
    return { ...command, request: { client, sequence, acknowledgedThrough: this.#acknowledgedThrough() } };
  }

  /** G2: everything before the oldest call that is still open. */
  #acknowledgedThrough(): number {
    for (const oldest of this.#calls.keys()) return oldest - 1;
    return this.#lastSequence;
  }

  #scheduleSend(): void {
    if (this.#isSendDue) return;
    this.#isSendDue = true;
    queueMicrotask(() => {
      this.#isSendDue = false;
      this.#sendOutgoing();
    });
  }

  #sendOutgoing(): void {
    const { finder, self } = this.#components;
    const leader = finder.known();
    if (leader === undefined || leader === self) {
      this.#search();
      return;
    }
    this.#leaderSeenAtMs = this.#components.clock.monotonicMs();
    const calls = this.#outgoing.filter(({ sequence }) => this.#calls.has(sequence));
    this.#outgoing = [];
    for (const batch of batchesOf(calls)) this.#tasks.run(() => this.#sendBatch(leader, batch));
  }

  /** Looks for a leader until there is one, or nobody waits any more. */
  #search(): void {
    if (this.#isSearching) return;
    this.#isSearching = true;
    this.#tasks.run(async (signal) => {
      try {
        await this.#searchLoop(signal);
      } finally {
        this.#isSearching = false;
      }
      if (this.#outgoing.length > 0) this.#scheduleSend();
    });
  }

  async #searchLoop(signal: AbortSignal): Promise<void> {
    const { finder, replica, self, clock } = this.#components;
    for (let pauseMs = PAUSE_MS; this.#outgoing.length > 0; pauseMs = nextPause(pauseMs)) {
      if (replica.leading !== undefined) {
        const calls = this.#outgoing.filter(({ sequence }) => this.#calls.has(sequence));
        this.#outgoing = [];
        for (const call of calls) this.#dispatch(call);
        return;
      }
      const leader = await finder.find();
      if (leader !== undefined && leader !== self) return;
      await sleep(clock, pauseMs, signal);
      this.#outgoing = this.#outgoing.filter(({ sequence }) => this.#calls.has(sequence));
    }
  }

  async #sendBatch(leader: PeerId, calls: readonly Call[]): Promise<void> {
    const body = calls.map((call) => commandToWire(this.#stamped(call)));
    for (const call of calls) call.isUnderWay = true;
    const method = groupMethod(this.#options.group, 'propose');
    try {
      const answers = await this.#tries.request(leader, method, body, { timeoutMs: TRY_TIMEOUT_MS });
      calls.forEach((call, at) => {
        this.#onAnswer(leader, call, Array.isArray(answers) ? answers[at] : undefined);
      });
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      if (isWorthAsking(error)) this.#components.finder.failed(leader);
      for (const call of calls) this.#onTryFailed(call, error);
    }
  }

  #onAnswer(leader: PeerId, call: Call, answer: unknown): void {
    const [kind, value] = (Array.isArray(answer) ? answer : [2, null]) as unknown as WireAnswer;
    if (kind !== 2) {
      this.#settle(call, fromWireOutcome([kind, value]));
      return;
    }
    const error = fromWireError(value);
    if (error.code === 'NOT_LEADER') this.#components.finder.refused(leader, error.details.leader);
    this.#onTryFailed(call, error);
  }

  /** G3. */
  #onTryFailed(call: Call, error: AspenError): void {
    if (!this.#calls.has(call.sequence)) return;
    call.isUnderWay = false;
    if (error.outcome === 'unknown') call.mayBeApplied = true;
    const isRetried = isWorthAsking(error) || (call.mayBeApplied && error.retry === 'later');
    if (!isRetried) {
      this.#fail(call, call.mayBeApplied ? refusedAfterUnknown(error) : error);
      return;
    }
    this.#components.clock.setTimer(PAUSE_MS, () => {
      if (this.#calls.has(call.sequence)) this.#dispatch(call);
    });
  }

  #settle(call: Call, outcome: CommandOutcome): void {
    if (!this.#calls.delete(call.sequence)) return;
    call.unfollow?.();
    call.settle(outcome);
  }

  #fail(call: Call, error: unknown): void {
    if (!this.#calls.delete(call.sequence)) return;
    call.unfollow?.();
    call.reject(error);
  }

  /** Where nobody leads because this node's disk is full, that is what has to be mended. */
  #refusal(what: string, waitedMs: number): AspenError {
    const { replica, finder, self } = this.#components;
    const leader = finder.known();
    const isOurs = leader === undefined || leader === self;
    return replica.isDiskFull && isOurs ? diskFull(what) : noQuorum(what, waitedMs);
  }

  /** One sweep for all calls, instead of a timer each. */
  #expire(): void {
    if (this.#calls.size === 0) return;
    const nowMs = this.#components.clock.monotonicMs();
    if (this.#components.finder.known() !== undefined) this.#leaderSeenAtMs = nowMs;
    for (const call of this.#calls.values()) {
      const waitedMs = nowMs - call.startedAtMs;
      if (nowMs < call.deadlineMs && !this.#isLeaderless(nowMs, call.startedAtMs)) continue;
      const what = `${call.command.module}.${call.command.kind}`;
      this.#fail(call, isUncertain(call) ? unanswered(what, waitedMs) : this.#refusal(what, waitedMs));
    }
  }

  #isLeaderless(nowMs: number, sinceMs: number): boolean {
    return nowMs - Math.max(this.#leaderSeenAtMs, sinceMs) >= this.#options.leaderlessMs;
  }
}

/** G3 */
function isUncertain({ mayBeApplied, isUnderWay }: Call): boolean {
  return mayBeApplied || isUnderWay;
}

function stopping(outcome: Outcome): AspenError {
  return new AspenError('UNAVAILABLE', 'this node is stopping', { outcome });
}

function batchesOf(calls: readonly Call[]): Call[][] {
  const batches: Call[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const call of calls) {
    const size = call.command.body.length + 256;
    const current = batches.at(-1);
    if (current === undefined || bytes + size > FORWARDED_BYTES || current.length >= FORWARDED_LIMIT) {
      batches.push([call]);
      bytes = size;
    } else {
      current.push(call);
      bytes += size;
    }
  }
  return batches;
}
