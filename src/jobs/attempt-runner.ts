import { AspenError, type Clock, type Logger, type Timer } from '../base/index.ts';
import { type BlobPayload, isBlobPayload, type PayloadSource } from './blob-payload.ts';
import { type ExecutionResult, type RecoveredAttempt, stoppedResult } from './execution/executor.ts';
import type { AttemptOutput, OutputStore } from './execution/output-store.ts';
import type { LocalAttempt } from './local-attempt.ts';
import { LocalContext, type LocalSurroundings } from './local-context.ts';
import { AttemptGone, failedResult, handedOverUnbegun, lost, type Outcome, outcomeOf } from './outcome.ts';
import type { OwnPool, Pool, PooledContext } from './pools.ts';
import { SilenceWatch, withSigns } from './silence-watch.ts';

export interface AttemptRunnerComponents extends LocalSurroundings {
  readonly outputs: OutputStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where payloads lie that are blobs. @default no such job is run here */
  readonly payloads?: PayloadSource;
}

/**
 * Runs one attempt in a pool, from its place there to its outcome.
 *
 * - A1 An attempt runs in the pool that its assignment names, or is given back.
 * - X4 No more attempts execute at once in a pool than it has slots.
 */
export class AttemptRunner {
  readonly #components: AttemptRunnerComponents;

  constructor(components: AttemptRunnerComponents) {
    this.#components = components;
  }

  /** @param isNodeStopping asked before it begins. @returns a promise where it begins or waits; null when nothing may be told. */
  run(
    pool: Pool | undefined,
    attempt: LocalAttempt,
    isNodeStopping: () => boolean,
  ): Outcome | null | Promise<Outcome | null> {
    const { type } = attempt.assignment;
    if (pool === undefined) return handedOverUnbegun('the worker it was given to has gone');
    if (!pool.offers(type)) return lost(`its node does not run jobs of type ${type}`);
    if (isNodeStopping()) return handedOverUnbegun('its node is stopping');
    if (pool.isDraining) return handedOverUnbegun('the worker it was given to is stopping');
    return pool.slots.tryTake() ? this.#inSlot(pool, attempt) : this.#whenFree(pool, attempt);
  }

  /** X5 It runs already, so there is nothing to be refused. */
  resume(own: OwnPool, attempt: LocalAttempt, recovered: RecoveredAttempt): Promise<Outcome | null> {
    own.slots.takeAnyway();
    const execute = (context: PooledContext) => own.unlessAbandoned(recovered.resume(context));
    return this.#inSlot({ slots: own.slots, execute }, attempt, true);
  }

  async #whenFree(pool: Pool, attempt: LocalAttempt): Promise<Outcome | null> {
    if (await pool.slots.take(attempt.signal)) return this.#inSlot(pool, attempt);
    if (attempt.stopReason === null) return handedOverUnbegun('the worker it was given to has gone');
    return unbegun(attempt, stoppedResult(attempt.stopReason, null));
  }

  /** X4 In a slot that was taken for it, and is given back here. */
  async #inSlot(
    pool: Pick<Pool, 'slots' | 'execute'>,
    attempt: LocalAttempt,
    hasBegun = false,
  ): Promise<Outcome | null> {
    let execution: Execution | undefined;
    try {
      if (isBlobPayload(attempt.payload)) {
        const failed = await this.#bringPayload(attempt, attempt.payload);
        // What runs already, its supervisor ends with its hold.
        if (failed !== undefined) return hasBegun ? outcomeOf(attempt, failed) : unbegun(attempt, failed);
      }
      if (!hasBegun && attempt.hasHoldEnded(this.#components.clock.monotonicMs()))
        return handedOverUnbegun('its hold was over before it began'); // X2, P15
      execution = new Execution(attempt, this.#components);
      return outcomeOf(attempt, await pool.execute(execution.context));
    } catch (error) {
      if (execution === undefined) throw error;
      return this.#failed(attempt, error);
    } finally {
      execution?.end();
      pool.slots.give();
    }
  }

  /** What the job is given lies in a blob. @returns why it cannot be had; undefined when the attempt has it. */
  async #bringPayload(attempt: LocalAttempt, payload: BlobPayload): Promise<ExecutionResult | undefined> {
    const { payloads, onProgress, log } = this.#components;
    const { jobId, fencingToken } = attempt.assignment;
    const onWait = (message: string) =>
      onProgress(jobId, fencingToken, { percent: null, message, counters: {} });
    try {
      if (payloads === undefined) throw new AspenError('UNAVAILABLE', 'this node has no blobs');
      attempt.payload = await payloads.fetch(payload, { jobId, signal: attempt.signal, onWait });
      return undefined;
    } catch (error) {
      if (attempt.stopReason !== null) return stoppedResult(attempt.stopReason, null);
      if (!(error instanceof AspenError)) throw error;
      log.warn({ err: error, jobId }, 'the payload of a job cannot be had');
      const message = `its payload cannot be had: ${error.message}`;
      const retryable = error.code !== 'INVALID_PARAMS';
      return { ok: false, error: { code: 'BLOB_UNAVAILABLE', message, retryable }, result: null };
    }
  }

  #failed(attempt: LocalAttempt, error: unknown): Outcome | null {
    if (error instanceof AttemptGone && !attempt.isFenced) return lost(error.message);
    if (attempt.stopReason !== null) return outcomeOf(attempt, stoppedResult(attempt.stopReason, null));
    const { jobId, type } = attempt.assignment;
    this.#components.log.warn({ err: error, jobId, type }, 'executor failed');
    return outcomeOf(attempt, failedResult(error));
  }
}

/** What an attempt has while it executes. */
class Execution {
  readonly context: PooledContext;
  readonly #output: AttemptOutput;
  readonly #watch: SilenceWatch | undefined;
  readonly #timer: Timer | undefined;

  constructor(attempt: LocalAttempt, components: AttemptRunnerComponents) {
    const { clock, outputs } = components;
    const { jobId, attempt: number, timeoutMs, heartbeatTimeoutMs } = attempt.assignment;
    this.#output = outputs.open(jobId, number);
    if (heartbeatTimeoutMs !== null)
      this.#watch = new SilenceWatch(clock, heartbeatTimeoutMs, () => attempt.stop('heartbeat'));
    if (timeoutMs !== null) this.#timer = clock.setTimer(timeoutMs, () => attempt.stop('timeout'));
    this.context = withSigns(new LocalContext(attempt, this.#output, components), this.#watch);
  }

  end(): void {
    this.#timer?.cancel();
    this.#watch?.[Symbol.dispose]();
    this.#output.end();
  }
}

/** @returns the outcome of an attempt that came to an end before it began. */
function unbegun(attempt: LocalAttempt, result: ExecutionResult): Outcome | null {
  if (attempt.stopReason !== 'shutdown' || attempt.isFenced) return outcomeOf(attempt, result);
  return handedOverUnbegun('its node is stopping');
}
