/**
 * The offsets of a job's output, as readers see them: every attempt has a span of its own, so an offset names its attempt.
 *
 *     offset = (attempt - 1) x 2^40 + byte within the attempt
 *
 * Those of a first attempt are plain counts of bytes. Nothing bounds how often a job may be retried by hand or handed over, and an offset has
 * to stay an exact number in JSON (2^53): attempts from {@link FIRST_SHARED_ATTEMPT} on share the last span, and are not told apart there.
 */
export const ATTEMPT_SPAN_BYTES = 2 ** 40;

/** It would have the last span for itself, were it not for those after it. */
export const FIRST_SHARED_ATTEMPT = 2 ** 53 / ATTEMPT_SPAN_BYTES;

/** @returns the offset of the first byte of an attempt; of one that shares its span, the least that it may be. */
export function spanStart(attempt: number): number {
  return (Math.min(attempt, FIRST_SHARED_ATTEMPT) - 1) * ATTEMPT_SPAN_BYTES;
}

/** @returns the number of the attempt, at most {@link FIRST_SHARED_ATTEMPT}, which then stands for all later ones too. */
export function attemptOfOffset(offset: number): number {
  return Math.floor(offset / ATTEMPT_SPAN_BYTES) + 1;
}
