import type { JobError, JobRecord } from './record.ts';
import type { RetryPolicy } from './spec.ts';

/**
 * Losses that a job is forgiven where it does not say. They are the mesh's fault, not the job's, and are counted apart from failures: but a job
 * that takes its node down with it must not do so for ever.
 */
export const MAX_LOSSES = 5;
/** Before a job that was lost more than once is begun again: twice as long each time. One loss tells nothing of the job. Unit: ms. */
const LOSS_PAUSE = { secondMs: 1_000, mostMs: 8_000 };

/** Longest pause that a failed attempt may ask for. Unit: ms. */
export const RETRY_AFTER_MOST_MS = 24 * 3_600_000;

/** Whether a failure (counting this one) is followed by another run. */
export function willRetry({ spec, failureCount }: JobRecord, error: JobError): boolean {
  if (!error.retryable) return false;
  if (error.exitCode !== undefined && spec.retry.nonRetryableExitCodes.includes(error.exitCode)) return false;
  return failureCount + 1 < spec.retry.maxAttempts;
}

/**
 * @param failureCount 1 after the first failure.
 * @returns the pause before the next run, in ms; the same on every replica: jitter is a hash of job and attempt.
 */
export function retryDelayMs(policy: RetryPolicy, failureCount: number, jobId: string): number {
  const boundMs = Math.min(policy.maxDelayMs, baseDelayMs(policy, failureCount));
  if (policy.jitter === 'none' || Array.isArray(policy.backoff)) return boundMs;
  return Math.round(boundMs * (0.5 + hashFraction(`${jobId}/${failureCount}`) / 2));
}

export function maxLossesOf({ maxLosses }: Pick<RetryPolicy, 'maxLosses'>): number {
  return maxLosses ?? MAX_LOSSES;
}

/** @param lossCount 1 after the first loss. @returns the pause before the next run, in ms. */
export function lossPauseMs(lossCount: number): number {
  const { secondMs, mostMs } = LOSS_PAUSE;
  return lossCount < 2 ? 0 : Math.min(mostMs, secondMs * 2 ** Math.min(40, lossCount - 2));
}

/** @returns what a job dies of that was lost once too often. */
export function lossesExceeded(lossCount: number, maxLosses: number, reason: string): string {
  return maxLosses === 0
    ? `not begun again after it was lost (retry.maxLosses is 0): ${reason}`
    : `lost ${lossCount} times, more than are forgiven (retry.maxLosses is ${maxLosses}); the last: ${reason}`;
}

function baseDelayMs({ backoff, delayMs }: RetryPolicy, failureCount: number): number {
  if (backoff === 'none') return 0;
  if (backoff === 'fixed') return delayMs;
  if (backoff === 'exponential') return delayMs * 2 ** Math.min(40, failureCount - 1);
  return backoff[Math.min(failureCount, backoff.length) - 1] ?? 0;
}

/** FNV-1a with a final mix. @returns 0 <= x < 1. */
function hashFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 12;
  return (hash >>> 0) / 2 ** 32;
}
