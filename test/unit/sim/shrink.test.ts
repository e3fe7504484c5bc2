import assert from 'node:assert/strict';
import { drawFaultPlan } from '../../sim/ground/index.ts';
import type { Outcome } from '../../sim/world/outcome.ts';
import { type Reduction, reducedPlan, reductionFlags } from '../../sim/world/reduction.ts';
import { shrink } from '../../sim/world/shrink.ts';

const START = { outcome: 'wrong', nodeCount: 5, stepCount: 12, forMs: 25_000 } as const;

/** Fails where steps 3 and 8 happen on at least four nodes for at least 9 s. */
async function attempt({ nodeCount = 5, forMs = 25_000, steps }: Reduction): Promise<Outcome> {
  const has = (step: number) => steps === undefined || steps.includes(step);
  return has(3) && has(8) && nodeCount >= 4 && forMs >= 9_000 ? 'wrong' : 'ok';
}

describe('a failing run', () => {
  it('is made smaller as long as it fails in the same way', async () => {
    const found = await shrink(START, attempt);
    assert.deepEqual(found, { nodeCount: 4, forMs: 10_000, steps: [3, 8] });
    assert.equal(reductionFlags(found), ' --nodes 4 --for 10000 --steps 3,8');
  });

  it('is left as it is when nothing of it can be spared, or it fails otherwise', async () => {
    assert.deepEqual(await shrink(START, async () => 'stuck'), {});
    assert.equal(reductionFlags({}), '');
  });

  it('takes a bounded number of runs', async () => {
    let runs = 0;
    await shrink({ ...START, stepCount: 500 }, async () => {
      runs += 1;
      return 'ok';
    });
    assert.ok(runs <= 60);
  });

  it('has a plan that is a part of the whole one', () => {
    const nodes = ['n1', 'n2', 'n3', 'n4', 'n5'];
    const whole = drawFaultPlan(3, { nodes, calmAtMs: 25_000, meanPauseMs: 1_000 });
    assert.deepEqual(reducedPlan(whole, {}, nodes), whole);
    const part = reducedPlan(whole, { forMs: 10_000, steps: [0, 1, 2, 3, 4, 5, 6, 7] }, nodes.slice(0, 3));
    assert.equal(part.calmAtMs, 10_000);
    assert.ok(part.steps.length > 0 && part.steps.length < 9);
    assert.ok(part.steps.every(({ atMs, forMs }) => atMs + forMs <= 10_000));
    assert.ok(!JSON.stringify(part.steps).includes('n5'));
  });
});
