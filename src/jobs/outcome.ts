import { AspenError, encode, PROTO_KEY_REFUSED, protoKeyPath } from '../base/index.ts';
import { type ExecutionResult, PROCESSES_LEFT } from './execution/executor.ts';
import type { LocalAttempt } from './local-attempt.ts';

/** Results travel in the log and stay in the record. Unit: bytes, encoded. */
export const RESULT_BYTES_LIMIT = 2 ** 20;
const MESSAGE_LENGTH_LIMIT = 4_096;

/** A command about an attempt that has ended. */
export interface Outcome {
  readonly kind: 'complete' | 'fail' | 'cancelled' | 'lose';
  readonly body: object;
  /** About how long the command will be. */
  readonly bytes: number;
}

/** Nobody can say any more how an attempt ends: its worker has gone, or does not answer. */
export class AttemptGone extends Error {
  override readonly name = 'AttemptGone';
}

/** A number takes no more. Unit: bytes, encoded. */
const NUMBER_BYTES = 9;
/** What an outcome has beside its result. Unit: bytes. */
const OUTCOME_BYTES = 256;

/** @returns what is to be proposed; null when nothing may be. */
export function outcomeOf(attempt: LocalAttempt, executed: ExecutionResult): Outcome | null {
  const { stopReason, isFenced } = attempt;
  if (isFenced) return null;
  if (stopReason === 'lost') return lost('its node stopped it: the leader was silent past the hold');
  const { result, bytes } = withinLimits(executed);
  if (result.ok) return { kind: 'complete', body: { result: result.result }, bytes };
  const isAllGone = result.error.code !== PROCESSES_LEFT;
  if (stopReason === 'cancelled' && isAllGone)
    return { kind: 'cancelled', body: { result: result.result }, bytes };
  if (stopReason === 'shutdown' && isAllGone) return handedOver('its node is stopping');
  return {
    kind: 'fail',
    body: { error: result.error, result: result.result },
    bytes: bytes + result.error.message.length,
  };
}

/** It did not end by itself, and its node may be to blame. */
export function lost(reason: string): Outcome {
  return { kind: 'lose', body: { reason, isHandedOver: false }, bytes: OUTCOME_BYTES };
}

/** Its node gives it back in order: nobody is to blame. It may have begun. */
export function handedOver(reason: string): Outcome {
  return { kind: 'lose', body: { reason, isHandedOver: true }, bytes: OUTCOME_BYTES };
}

/** Its node gives it back in order, and never began it. */
export function handedOverUnbegun(reason: string): Outcome {
  return { kind: 'lose', body: { reason, isHandedOver: true, isUnbegun: true }, bytes: OUTCOME_BYTES };
}

/** The executor itself is at fault, or what it was given. */
export function failedResult(error: unknown): ExecutionResult {
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof AspenError && error.retry === 'never';
  const code = isOurs ? error.code : 'EXECUTOR_FAILED';
  return { ok: false, error: { code, message, retryable: !isOurs }, result: null };
}

const SIZE_LIMITS: readonly unknown[] = ['COMMAND_BYTES_LIMIT', 'VALUE_BYTES_LIMIT'];

/** Whether proposing the very same again can never help: a size stays what it is. */
export function isRefusedForGood({ retry, details }: AspenError): boolean {
  return retry === 'never' || SIZE_LIMITS.includes(details.limit);
}

/** Whether the attempt was over for the group already, so that there is nothing left to tell. */
export function isOver({ code }: AspenError): boolean {
  return code === 'FENCED' || code === 'NOT_FOUND' || code === 'CONFLICT';
}

/** What is told in place of an outcome that the group cannot take; running again would lead to the same. */
export function refusedOutcome({ code, message }: AspenError): Outcome {
  const error = { code: 'OUTCOME_REFUSED', message: `${code}: ${message}`.slice(0, 512), retryable: false };
  return { kind: 'fail', body: { error, result: null }, bytes: 4 * OUTCOME_BYTES };
}

function withinLimits(executed: ExecutionResult): {
  readonly result: ExecutionResult;
  readonly bytes: number;
} {
  const bytes = encodedBytes(executed.result ?? null);
  const result = limited(executed, bytes);
  return { result, bytes: OUTCOME_BYTES + (result.result === null ? 0 : (bytes ?? 0)) };
}

function limited(executed: ExecutionResult, bytes: number | undefined): ExecutionResult {
  if (bytes === undefined) return unfit('RESULT_INVALID', 'the result is not plain data');
  const isTooLarge = bytes > RESULT_BYTES_LIMIT;
  if (executed.ok && isTooLarge) {
    return unfit('RESULT_TOO_LARGE', `the result has ${bytes} bytes, the limit is ${RESULT_BYTES_LIMIT}`);
  }
  const lostField = protoKeyPath(executed.result);
  if (executed.ok && lostField !== undefined) {
    return unfit('RESULT_INVALID', `the result cannot be kept: ${lostField}: ${PROTO_KEY_REFUSED}`);
  }
  if (executed.ok) return { ok: true, result: executed.result ?? null };
  const error = { ...executed.error, message: executed.error.message.slice(0, MESSAGE_LENGTH_LIMIT) };
  return {
    ok: false,
    error,
    result: isTooLarge || lostField !== undefined ? null : (executed.result ?? null),
  };
}

function unfit(code: string, message: string): ExecutionResult {
  return { ok: false, error: { code, message, retryable: false }, result: null };
}

/** @returns undefined for what cannot be written down: nested deeper than the stack, or a circle. */
function encodedBytes(result: unknown): number | undefined {
  if (result === null || typeof result === 'number' || typeof result === 'boolean') return NUMBER_BYTES;
  try {
    return encode(result).length;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}
