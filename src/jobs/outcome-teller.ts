import {
  AspenError,
  Batcher,
  backoffMs,
  type Clock,
  fromWireError,
  type Logger,
  pause,
  type Random,
} from '../base/index.ts';
import type { GroupClient, SessionHolder } from '../lease/index.ts';
import { isOver, isRefusedForGood, type Outcome, refusedOutcome } from './outcome.ts';
import type { AttemptRef, SettleItem, Settlement, SettleResult } from './settlement.ts';

export interface OutcomeTellerComponents {
  readonly session: Pick<SessionHolder, 'checkSleep' | 'isConfirmed'>;
  readonly group: Pick<GroupClient, 'propose'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What became of an attempt, as its worker is told. */
export interface Settled {
  /** The group took the outcome that the worker reached. */
  readonly isAccepted: boolean;
  /** Why not, or what else is to be said of it. */
  readonly reason: string | null;
  /** What the job is now; null where it is not known. */
  readonly state: Settlement['state'] | null;
}

const SETTLE_TRY_MS = 10_000;
/** Outcomes that travel in one command. */
const OUTCOME_BATCH = { itemsLimit: 1_000, bytesLimit: 2 ** 19 };
/** Between looks whether the session was confirmed after this process stood still. Unit: ms. */
const CONFIRMED_LOOK_MS = 50;
const BACKOFF = { firstMs: 100, mostMs: 2_000 };

export function notAccepted(reason: string): Settled {
  return { isAccepted: false, reason, state: null };
}

/**
 * Tells the group how attempts ended. What ends in one turn travels in one command.
 *
 * - X3 An outcome is proposed until it is agreed or refused for good.
 */
export class OutcomeTeller {
  readonly #components: OutcomeTellerComponents;
  readonly #abandoned = new AbortController();
  readonly #batcher: Batcher<SettleItem, SettleResult>;

  constructor(components: OutcomeTellerComponents) {
    this.#components = components;
    this.#batcher = new Batcher((items) => this.#propose(items), OUTCOME_BATCH);
  }

  /** Aborted when nothing is told any more. */
  get signal(): AbortSignal {
    return this.#abandoned.signal;
  }

  stop(): void {
    this.#abandoned.abort(new Error('the worker stopped'));
  }

  /** Tries until it is known what became of it. What the group can never take is told as a failure instead, once. */
  async settle(ref: AttemptRef, outcome: Outcome, isSubstitute = false): Promise<Settled> {
    const { random, session, clock } = this.#components;
    const { signal } = this;
    for (let tries = 1; !signal.aborted; tries += 1) {
      if (!session.checkSleep() && outcome.kind !== 'lose') return notAccepted('its machine slept');
      if (!session.isConfirmed) {
        await pause(clock, CONFIRMED_LOOK_MS, signal); // H3
        continue;
      }
      try {
        const { answers, at } = this.#batcher.join(itemOf(ref, outcome), outcome.bytes);
        return settledBy(outcome, taken((await answers)[at] as SettleResult));
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof AspenError)) throw error;
        if (isRefusedForGood(error)) return this.#refused(ref, outcome, error, isSubstitute);
      }
      await pause(clock, backoffMs(tries, random, BACKOFF), signal);
    }
    return notAccepted('its agent stops');
  }

  /** Tries once. @throws AspenError when this report was refused, or none could be agreed. */
  async tell(item: SettleItem, bytes: number): Promise<Settlement> {
    return taken(await this.#batcher.add(item, bytes));
  }

  async #refused(
    ref: AttemptRef,
    { kind }: Outcome,
    error: AspenError,
    isSubstitute: boolean,
  ): Promise<Settled> {
    this.#components.log.info({ err: error, ...ref, kind }, 'outcome refused');
    if (isOver(error) || isSubstitute) return notAccepted(error.message);
    const { state } = await this.settle(ref, refusedOutcome(error), true);
    return { isAccepted: false, reason: error.message, state };
  }

  #propose(items: readonly SettleItem[]): Promise<readonly SettleResult[]> {
    const command = { module: 'jobs', kind: 'settle', body: { items } };
    return this.#components.group.propose(command, { timeoutMs: SETTLE_TRY_MS, signal: this.signal });
  }
}

/** What nearly every attempt tells is written out: it takes less time and room than to put together what any may. */
function itemOf(ref: AttemptRef, { kind, body }: Outcome): SettleItem {
  if (kind !== 'complete' || ref.rank !== undefined) return { kind, ...ref, ...body } as SettleItem;
  const { jobId, attempt, fencingToken } = ref;
  return { kind, jobId, attempt, fencingToken, result: (body as { readonly result: unknown }).result };
}

/** @throws AspenError when this report was refused. */
function taken(result: SettleResult): Settlement {
  if ('error' in result) throw fromWireError(result.error);
  return result;
}

function settledBy({ kind, body }: Outcome, { state }: Settlement): Settled {
  const { reason = null, error } = body as {
    readonly reason?: string;
    readonly error?: { readonly message: string };
  };
  return { isAccepted: kind !== 'lose', reason: reason ?? error?.message ?? null, state };
}
