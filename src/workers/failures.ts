import { AspenError } from '../base/index.ts';
import { type AttemptContext, type ExecutionResult, stoppedResult, stopReasonOf } from '../jobs/index.ts';

/** What went wrong, as an attempt tells it. Codes that another node, or a later time, may do better with are worth another try. */
const TOLD: Readonly<Record<string, { readonly code: string; readonly retryable: boolean }>> = {
  DENIED: { code: 'DENIED', retryable: false },
  INVALID_PARAMS: { code: 'INVALID_PARAMS', retryable: false },
  INVALID_REQUEST: { code: 'INVALID_ANSWER', retryable: false },
  DEADLINE_EXCEEDED: { code: 'TIMEOUT', retryable: true },
  NOT_FOUND: { code: 'NOT_FOUND', retryable: true },
};

/**
 * Does the work of an attempt whose payload is checked first.
 * @returns its failure where the payload is wrong, it is to end, or the work throws an AspenError.
 */
export async function attempted<P>(
  attempt: AttemptContext,
  parse: (payload: unknown) => P,
  work: (payload: P) => Promise<ExecutionResult>,
): Promise<ExecutionResult> {
  const early = stopReasonOf(attempt.signal);
  if (early !== null) return stoppedResult(early, null);
  try {
    return await work(parse(attempt.payload));
  } catch (error) {
    const stop = stopReasonOf(attempt.signal);
    if (stop !== null) return stoppedResult(stop, null);
    if (!(error instanceof AspenError)) throw error;
    return failure(error);
  }
}

export function failure({ code, message, retry, details }: AspenError): ExecutionResult {
  const told = TOLD[code] ?? { code, retryable: retry !== 'never' };
  const { retryAfterMs } = details;
  const later = typeof retryAfterMs === 'number' && told.retryable ? { retryAfterMs } : {};
  return { ok: false, error: { ...told, message, ...later }, result: null };
}
