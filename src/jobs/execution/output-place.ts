import { ATTEMPT_SPAN_BYTES, FIRST_SHARED_ATTEMPT, spanStart } from '../../base/index.ts';

/** Where somebody stands in the output of one attempt. */
export interface OutputPlace {
  /** Offset of the attempt's first byte in the output of the job. */
  readonly base: number;
  /** Where to read on within the attempt. */
  readonly next: number;
}

/**
 * Where to go on in an attempt, for somebody who read the job's output up to an offset: where that is, if it lies in this attempt, and at
 * the beginning if it lies in an earlier one; never in the middle of what was not read (F1). Within the last span, where an offset does not
 * say which attempt it is of, an attempt is given from its beginning: rather twice than in part.
 * @returns null where the offset lies in an attempt after this one.
 */
export function placeIn(attempt: number, reached: number): OutputPlace | null {
  const base = spanStart(attempt);
  if (attempt >= FIRST_SHARED_ATTEMPT) return { base: Math.max(base, reached), next: 0 };
  const next = Math.max(0, reached - base);
  return next < ATTEMPT_SPAN_BYTES ? { base, next } : null;
}

/** Whether a byte at this offset still is in the span of the attempt. */
export function isInSpan(attempt: number, offset: number): boolean {
  return offset < spanStart(attempt) + ATTEMPT_SPAN_BYTES;
}
