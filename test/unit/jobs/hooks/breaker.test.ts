import assert from 'node:assert/strict';
import {
  afterFailure,
  afterSuccess,
  type Breaker,
  CLOSED,
  FAILURES_TO_OPEN,
  gateOf,
  OPEN_LEAST_MS,
} from '../../../../src/jobs/hooks/breaker.ts';

function failed(times: number, breaker: Breaker = CLOSED, groupMs = 0): Breaker {
  let after = breaker;
  for (let at = 0; at < times; at += 1) after = afterFailure(after, groupMs);
  return after;
}

describe('the circuit breaker of a hook', () => {
  it('opens with the last of several failures in a row', () => {
    assert.equal(gateOf(failed(FAILURES_TO_OPEN - 1), 0), 'closed');
    const open = failed(FAILURES_TO_OPEN);
    assert.equal(gateOf(open, 0), 'open');
    assert.equal(gateOf(open, OPEN_LEAST_MS - 1), 'open');
    assert.equal(gateOf(open, OPEN_LEAST_MS), 'half-open');
  });

  it('counts from the start after a success', () => {
    const once = afterSuccess(failed(FAILURES_TO_OPEN - 1));
    assert.equal(gateOf(failed(FAILURES_TO_OPEN - 1, once), 0), 'closed');
  });

  it('learns nothing from what fails while it is open', () => {
    const open = failed(FAILURES_TO_OPEN);
    assert.equal(afterFailure(open, OPEN_LEAST_MS - 1), open);
  });

  it('opens again for twice as long when its probe fails, up to a quarter of an hour', () => {
    let breaker = failed(FAILURES_TO_OPEN);
    let nowMs = 0;
    const pauses: number[] = [];
    for (let at = 0; at < 7; at += 1) {
      pauses.push(((breaker.openUntilMs ?? 0) - nowMs) / 1_000);
      nowMs = breaker.openUntilMs ?? 0;
      breaker = afterFailure(breaker, nowMs);
    }
    assert.deepEqual(pauses, [30, 60, 120, 240, 480, 900, 900]);
  });

  it('closes with one success, and then begins with the short pause again', () => {
    const open = failed(FAILURES_TO_OPEN + 1, failed(FAILURES_TO_OPEN), OPEN_LEAST_MS);
    const closed = afterSuccess(open);
    assert.equal(gateOf(closed, 0), 'closed');
    assert.equal(failed(FAILURES_TO_OPEN, closed).openUntilMs, OPEN_LEAST_MS);
  });

  it('is left as it is by a success where nothing had failed', () => {
    const fresh = { ...CLOSED };
    assert.equal(afterSuccess(fresh), fresh);
  });
});
