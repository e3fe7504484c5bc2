import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ATTEMPT_SPAN_BYTES,
  attemptOfOffset,
  FIRST_SHARED_ATTEMPT,
  spanStart,
} from '../../../src/base/index.ts';
import { isInSpan, placeIn } from '../../../src/jobs/execution/output-place.ts';

const attempts = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.integer({ min: FIRST_SHARED_ATTEMPT - 2, max: FIRST_SHARED_ATTEMPT + 2 }),
  fc.integer({ min: 1, max: 1_000_000 }),
);
const positions = fc.oneof(
  fc.nat({ max: 100 }),
  fc.maxSafeNat().map((n) => n % ATTEMPT_SPAN_BYTES),
);
/** A byte in the output of a job. */
const bytes = fc.record({ attempt: attempts, at: positions });
const offsetOf = ({ attempt, at }: { attempt: number; at: number }) => spanStart(attempt) + at;

describe('offsets of the output of a job (F1)', () => {
  it('of its first attempt count bytes', () => {
    assert.deepEqual([spanStart(1), attemptOfOffset(5_000)], [0, 1]);
  });

  it('are exact, name their attempt, and grow with it', () => {
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        assert.ok(Number.isSafeInteger(offsetOf(one)));
        assert.equal(attemptOfOffset(offsetOf(one)), Math.min(one.attempt, FIRST_SHARED_ATTEMPT));
        assert.ok(isInSpan(one.attempt, offsetOf(one)));
        if (one.attempt < Math.min(other.attempt, FIRST_SHARED_ATTEMPT))
          assert.ok(offsetOf(one) < offsetOf(other));
      }),
    );
  });

  it('never let anybody begin in the middle of what they did not read, nor go back', () => {
    fc.assert(
      fc.property(bytes, attempts, (read, attempt) => {
        const reached = offsetOf(read);
        const place = placeIn(attempt, reached);
        const isTold = Math.min(attempt, read.attempt) < FIRST_SHARED_ATTEMPT;
        if (isTold && read.attempt > attempt) assert.equal(place, null);
        else if (isTold && read.attempt === attempt)
          assert.deepEqual(place, { base: spanStart(attempt), next: read.at });
        else {
          assert.equal(place?.next, 0);
          assert.ok((place?.base ?? 0) >= reached && attemptOfOffset(place?.base ?? 0) <= attempt);
        }
      }),
    );
  });
});
