import {
  AspenError,
  type Clock,
  every,
  Listeners,
  type Logger,
  type Startable,
  Tasks,
} from '../base/index.ts';
import type { GroupClient } from './group.ts';
import { MACHINE_VERSION } from './machine/index.ts';

export interface SessionHolderOptions {
  readonly incarnation: string;
  /** Pause between renewals; at most a third of the keeper's `ttlMs`. Unit: ms. @default 1_000 */
  readonly renewEveryMs?: number;
  /** Wall time running ahead of monotonic time by more than this means that the machine slept. Unit: ms. @default 2_000 */
  readonly sleepGapMs?: number;
  /** The keeper's `ttlMs`. Unit: ms. @default 4_000 */
  readonly ttlMs?: number;
}

export interface SessionHolderComponents {
  readonly client: Pick<GroupClient, 'askLeader'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onFailure: (error: unknown) => void;
}

export interface LostSession {
  /** Null when the machine slept while no session was held: what was begun in an earlier one is over nevertheless. */
  readonly sessionId: string | null;
  /** `slept`: the machine's clock shows a gap; `replaced`: the group knows another session, or none, of this node. */
  readonly reason: 'slept' | 'replaced';
}

const TRY_TIMEOUT_MS = 2_000;

/**
 * This node's session with whoever leads.
 *
 * - H1 What counts is when a renewal was sent, never when its answer came.
 * - H2 After a sleep the session is lost before anything else is done with it.
 * - H3 After this process stood still past what the keeper bears, nothing is told in the name of the session before the group has confirmed it.
 */
export class SessionHolder implements Startable {
  readonly #components: SessionHolderComponents;
  readonly #options: Required<SessionHolderOptions>;
  readonly #tasks: Tasks;
  readonly #lost = new Listeners<LostSession>();
  readonly #opened = new Listeners<{ readonly sessionId: string }>();
  #reporter: () => unknown = () => null;
  #hasNothingInHand: () => boolean = () => true;
  #onReply: (orders: unknown, at: { readonly sentAtMs: number }) => void = () => undefined;
  #sessionId: string | null = null;
  #lastConfirmedSentMs: number | null = null;
  #latestLoss: (LostSession & { readonly atMs: number }) | null = null;
  #sequence = 0;
  #isRenewing = false;
  #isRenewingAtRest = false;
  #isPoked = false;
  #timer: Disposable | undefined;
  #wallAheadMs: number;
  #lookedMs: number;
  #stoodStillUntilMs = Number.NEGATIVE_INFINITY;

  constructor(components: SessionHolderComponents, options: SessionHolderOptions) {
    this.#components = components;
    this.#options = {
      incarnation: options.incarnation,
      renewEveryMs: options.renewEveryMs ?? 1_000,
      sleepGapMs: options.sleepGapMs ?? 2_000,
      ttlMs: options.ttlMs ?? 4_000,
    };
    this.#tasks = new Tasks(components.onFailure);
    this.#wallAheadMs = this.#wallAhead();
    this.#lookedMs = components.clock.monotonicMs();
  }

  /** The session this node holds, as far as it knows; null before the first and after a loss. */
  get sessionId(): string | null {
    return this.#sessionId;
  }

  /** H1: when the latest confirmed renewal of it was sent, by the monotonic clock; null before the first. */
  get lastConfirmedSentMs(): number | null {
    return this.#lastConfirmedSentMs;
  }

  /** The latest session that ended before its node did, why, and when by the wall clock; null when none has. */
  get latestLoss(): (LostSession & { readonly atMs: number }) | null {
    return this.#latestLoss;
  }

  /** H3: false between standing still for too long and the first renewal after it; to be asked before anything is told in its name. */
  get isConfirmed(): boolean {
    this.#noteStandstill();
    return this.#stoodStillUntilMs === Number.NEGATIVE_INFINITY;
  }

  /** @param hasNothingInHand whether nobody waits for the answer to a renewal that nothing but time has led to. */
  setReporter(reporter: () => unknown, hasNothingInHand = () => true): void {
    this.#reporter = reporter;
    this.#hasNothingInHand = hasNothingInHand;
  }

  onReply(callback: (orders: unknown, at: { readonly sentAtMs: number }) => void): void {
    this.#onReply = callback;
  }

  onLost(callback: (lost: LostSession) => void): Disposable {
    return this.#lost.add(callback);
  }

  onOpened(callback: (opened: { readonly sessionId: string }) => void): Disposable {
    return this.#opened.add(callback);
  }

  async start(): Promise<void> {
    this.#wallAheadMs = this.#wallAhead();
    this.#lookedMs = this.#components.clock.monotonicMs();
    this.#timer = every(this.#components.clock, this.#options.renewEveryMs, () => this.#tick());
    this.poke();
  }

  async stop(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#tasks.stop();
  }

  /** Renews now: something changed that the leader should hear of. Several calls make one renewal. */
  poke(): void {
    this.#isPoked = true;
    if (this.#isRenewing || this.#tasks.signal.aborted) return;
    this.#isRenewing = true;
    this.#tasks.run(async (signal) => {
      try {
        while (this.#isPoked && !signal.aborted) {
          this.#isPoked = false;
          await this.#renewOnce(signal, { mayWait: false });
        }
      } finally {
        this.#isRenewing = false;
      }
    });
  }

  /** To be asked before anything is written in the name of the session. @returns whether it survived. */
  checkSleep(): boolean {
    const aheadMs = this.#wallAhead();
    const gapMs = aheadMs - this.#wallAheadMs;
    this.#wallAheadMs = aheadMs;
    if (gapMs <= this.#options.sleepGapMs) return true;
    this.#components.log.warn({ gapMs }, 'the machine slept, its session is over');
    this.#lose('slept'); // H2
    return false;
  }

  #tick(): void {
    this.#noteStandstill();
    this.checkSleep();
    const isInTime = this.#sessionId !== null && !this.#isRenewing && !this.#isRenewingAtRest;
    if (isInTime && this.isConfirmed && this.#hasNothingInHand()) this.#renewAtRest();
    else this.poke();
  }

  /** The answer may come with a beat of the leader's. A poke does not wait for it. */
  #renewAtRest(): void {
    this.#isRenewingAtRest = true;
    this.#tasks.run(async (signal) => {
      try {
        await this.#renewOnce(signal, { mayWait: true });
      } finally {
        this.#isRenewingAtRest = false;
      }
      if (this.#isPoked) this.poke();
    });
  }

  /** The ticks of this holder show whether its process ran. */
  #noteStandstill(): void {
    const nowMs = this.#components.clock.monotonicMs();
    const stoodStillMs = nowMs - this.#lookedMs - this.#options.renewEveryMs;
    this.#lookedMs = nowMs;
    if (stoodStillMs < this.#options.ttlMs) return;
    this.#stoodStillUntilMs = nowMs;
    this.#components.log.warn({ stoodStillMs }, 'this process stood still, its session is to be confirmed');
  }

  async #renewOnce(signal: AbortSignal, how: { readonly mayWait: boolean }): Promise<void> {
    const sessionId = this.#sessionId;
    try {
      if (sessionId === null) await this.#open(signal);
      else await this.#renew(sessionId, signal, how);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      if (error.code === 'FENCED' && sessionId === this.#sessionId) this.#lose('replaced');
      else this.#components.log.debug({ err: error }, 'session not renewed, will try again');
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { client } = this.#components;
    const { incarnation } = this.#options;
    const opened = await client.askLeader<{ readonly sessionId?: unknown }>(
      'session/open',
      { incarnation, version: MACHINE_VERSION },
      { timeoutMs: TRY_TIMEOUT_MS, signal },
    );
    if (typeof opened?.sessionId !== 'string') return;
    this.#sessionId = opened.sessionId;
    this.#sequence = 0;
    this.#opened.emit({ sessionId: opened.sessionId });
    this.#isPoked = true;
  }

  async #renew(
    sessionId: string,
    signal: AbortSignal,
    { mayWait }: { readonly mayWait: boolean },
  ): Promise<void> {
    const { client, clock } = this.#components;
    const { incarnation } = this.#options;
    this.#sequence += 1;
    const sentAtMs = clock.monotonicMs();
    const body = {
      sessionId,
      incarnation,
      sequence: this.#sequence,
      report: this.#reporter() ?? null,
      ...(mayWait && { mayWait }),
    };
    const answer = await client.askLeader<{ readonly orders?: unknown }>('session/renew', body, {
      timeoutMs: TRY_TIMEOUT_MS,
      signal,
    });
    if (!this.checkSleep() || this.#sessionId !== sessionId) return;
    if (sentAtMs < (this.#lastConfirmedSentMs ?? sentAtMs)) return; // one that was sent later was answered earlier
    this.#lastConfirmedSentMs = sentAtMs; // H1
    if (sentAtMs >= this.#stoodStillUntilMs) this.#stoodStillUntilMs = Number.NEGATIVE_INFINITY; // H3
    if (answer?.orders !== undefined) this.#onReply(answer.orders, { sentAtMs });
  }

  #lose(reason: LostSession['reason']): void {
    const sessionId = this.#sessionId;
    this.#sessionId = null;
    this.#lastConfirmedSentMs = null;
    if (sessionId !== null || reason === 'slept') {
      this.#latestLoss = { sessionId, reason, atMs: this.#components.clock.wallMs() };
      this.#lost.emit({ sessionId, reason });
    }
    this.#isPoked = true;
  }

  #wallAhead(): number {
    return this.#components.clock.wallMs() - this.#components.clock.monotonicMs();
  }
}
