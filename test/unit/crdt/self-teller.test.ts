import assert from 'node:assert/strict';
import fc from 'fast-check';
import { heartbeatPeriodMs } from '../../../src/crdt/self-teller.ts';

const options = { heartbeatEveryMs: 3_000, heartbeatEveryMsPerNode: 180, missedFrom: 24 };
const MOST_MS = 120_000;

describe('signs of life (C16)', () => {
  it('are frequent in a small mesh', () => {
    for (const nodeCount of [1, 3, 16]) assert.equal(heartbeatPeriodMs(nodeCount, options), 3_000);
  });

  it('are no more than six a second of all together, and half of that where the ends of links tell of deaths', () => {
    fc.assert(
      fc.property(fc.integer({ min: 16, max: 300 }), (nodeCount) => {
        const perSecond = (nodeCount / heartbeatPeriodMs(nodeCount, options)) * 1_000;
        assert.ok(perSecond <= (nodeCount >= 24 ? 2.8 : 5.6));
      }),
    );
  });

  it('never become rarer by fewer nodes, and never rarer than the horizon of silence bears', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000), (one, other) => {
        const [few, many] = [Math.min(one, other), Math.max(one, other)];
        assert.ok(heartbeatPeriodMs(few, options) <= heartbeatPeriodMs(many, options));
        assert.ok(heartbeatPeriodMs(many, options) <= MOST_MS);
      }),
    );
  });
});
