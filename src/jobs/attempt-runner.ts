import { AspenError, type Clock, type Logger } from '../base/index.ts';
import { type BlobPayload, isBlobPayload, type PayloadSource } from './blob-payload.ts';
import { type ExecutionResult, type RecoveredAttempt, stoppedResult } from './execution/executor.ts';
import type { OutputStore } from './execution/output-store.ts';
import type { LocalAttempt } from './local-attempt.ts';
import { LocalContext, type LocalSurroundings } from './local-context.ts';
import { AttemptGone, failedResult, handedOverUnbegun, lost, type Outcome, outcomeOf } from './outcome.ts';
import type { OwnPool, Pool } from './pools.ts';
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

  /** @param isNodeStopping asked before it begins. @returns null when nothing may be told. */
  async run(
    pool: Pool | undefined,
    attempt: LocalAttempt,
    isNodeStopping: () => boolean,
  ): Promise<Outcome | null> {
    const { type } = attempt.assignment;
    if (pool === undefined) return handedOverUnbegun('the worker it was given to has gone');
    if (!pool.offers(type)) return lost(`its node does not run jobs of type ${type}`);
    if (isNodeStopping()) return handedOverUnbegun('its node is stopping');
    if (pool.isDraining) return handedOverUnbegun('the worker it was given to is stopping');
    if (!pool.slots.tryTake() && !(await pool.slots.take(attempt.signal))) {
      if (attempt.stopReason === null) return handedOverUnbegun('the worker it was given to has gone');
      return unbegun(attempt, stoppedResult(attempt.stopReason, null));
    }
    try {
      if (isBlobPayload(attempt.payload)) {
        const failed = await this.#bringPayload(attempt, attempt.payload);
        if (failed !== undefined) return unbegun(attempt, failed);
      }
      if (attempt.hasHoldEnded(this.#components.clock.monotonicMs()))
        return handedOverUnbegun('its hold was over before it began'); // X2, P15
      return await this.#execute(pool, attempt); // X4
    } finally {
      pool.slots.give();
    }
  }

  /** X5 It runs already, so there is nothing to be refused. */
  async resume(own: OwnPool, attempt: LocalAttempt, recovered: RecoveredAttempt): Promise<Outcome | null> {
    own.slots.takeAnyway();
    try {
      if (isBlobPayload(attempt.payload)) {
        const failed = await this.#bringPayload(attempt, attempt.payload);
        if (failed !== undefined) return outcomeOf(attempt, failed); // its supervisor ends it with its hold
      }
      return await this.#execute(
        { execute: (context) => own.unlessAbandoned(recovered.resume(context)) },
        attempt,
      );
    } finally {
      own.slots.give();
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

  async #execute(pool: Pick<Pool, 'execute'>, attempt: LocalAttempt): Promise<Outcome | null> {
    const { clock, outputs, log } = this.#components;
    const { jobId, attempt: number, type, timeoutMs, heartbeatTimeoutMs } = attempt.assignment;
    const output = outputs.open(jobId, number);
    const watch =
      heartbeatTimeoutMs === null
        ? undefined
        : new SilenceWatch(clock, heartbeatTimeoutMs, () => attempt.stop('heartbeat'));
    const timer = timeoutMs === null ? undefined : clock.setTimer(timeoutMs, () => attempt.stop('timeout'));
    try {
      const executing = pool.execute(withSigns(new LocalContext(attempt, output, this.#components), watch));
      return outcomeOf(attempt, await executing);
    } catch (error) {
      if (error instanceof AttemptGone && !attempt.isFenced) return lost(error.message);
      if (attempt.stopReason !== null) return outcomeOf(attempt, stoppedResult(attempt.stopReason, null));
      log.warn({ err: error, jobId, type }, 'executor failed');
      return outcomeOf(attempt, failedResult(error));
    } finally {
      timer?.cancel();
      watch?.[Symbol.dispose]();
      output.end();
    }
  }
}

/** @returns the outcome of an attempt that came to an end before it began. */
function unbegun(attempt: LocalAttempt, result: ExecutionResult): Outcome | null {
  if (attempt.stopReason !== 'shutdown' || attempt.isFenced) return outcomeOf(attempt, result);
  return handedOverUnbegun('its node is stopping');
}
