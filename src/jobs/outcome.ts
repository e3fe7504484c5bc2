import { encode } from '../base/index.ts';
import type { ExecutionResult } from './execution/executor.ts';
import type { LocalAttempt } from './local-attempt.ts';

/** Results travel in the log and stay in the record. Unit: bytes, encoded. */
export const RESULT_BYTES_LIMIT = 2 ** 20;
const MESSAGE_LENGTH_LIMIT = 4_096;

/** A command about an attempt that has ended. */
export interface Outcome {
  readonly kind: 'complete' | 'fail' | 'cancelled' | 'lose';
  readonly body: object;
}

/** @returns what is to be proposed; null when nothing may be. */
export function outcomeOf(attempt: LocalAttempt, executed: ExecutionResult): Outcome | null {
  const { stopReason, isFenced } = attempt;
  if (isFenced) return null;
  if (stopReason === 'lost') return lost('its node stopped it: the leader was silent past the hold');
  const result = withinLimits(executed);
  if (result.ok) return { kind: 'complete', body: { result: result.result } };
  if (stopReason === 'cancelled') return { kind: 'cancelled', body: { result: result.result } };
  if (stopReason === 'shutdown') return handedOver('its node is stopping');
  return { kind: 'fail', body: { error: result.error, result: result.result } };
}

/** It did not end by itself, and its node may be to blame. */
export function lost(reason: string): Outcome {
  return { kind: 'lose', body: { reason } };
}

/** Its node gives it back in order: nobody is to blame. */
export function handedOver(reason: string): Outcome {
  return { kind: 'lose', body: { reason, isHandedOver: true } };
}

function withinLimits(executed: ExecutionResult): ExecutionResult {
  const bytes = encode(executed.result ?? null).length;
  const isTooLarge = bytes > RESULT_BYTES_LIMIT;
  if (executed.ok && !isTooLarge) return executed;
  if (executed.ok) {
    const message = `the result has ${bytes} bytes, the limit is ${RESULT_BYTES_LIMIT}`;
    return { ok: false, error: { code: 'RESULT_TOO_LARGE', message, retryable: false }, result: null };
  }
  const error = { ...executed.error, message: executed.error.message.slice(0, MESSAGE_LENGTH_LIMIT) };
  return { ok: false, error, result: isTooLarge ? null : executed.result };
}
