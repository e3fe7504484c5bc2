import assert from 'node:assert/strict';
import { askedNow, validMs } from '../../../src/lease/index.ts';

/** Two clocks that a test moves apart. */
function clockAt(monotonicMs: number, wallMs: number) {
  return {
    monotonicMs: () => monotonicMs,
    wallMs: () => wallMs,
    setTimer: () => {
      throw new Error('nothing waits here');
    },
  };
}

describe('what is told as valid (Q3)', () => {
  const asked = askedNow(clockAt(1_000, 50_000));

  it('is what is left of the time since the group was asked', () => {
    assert.equal(validMs(6_000, asked, clockAt(1_500, 50_500)), 5_500);
    assert.equal(validMs(6_000, asked, clockAt(9_000, 58_000)), 0);
  });

  it('is less by the time that the machine slept', () => {
    assert.equal(validMs(6_000, asked, clockAt(1_500, 51_214)), 4_786);
  });

  it('is not more when the wall clock was set back', () => {
    assert.equal(validMs(6_000, asked, clockAt(1_500, 10_000)), 5_500);
  });
});
