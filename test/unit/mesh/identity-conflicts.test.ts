import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import { IdentityConflicts } from '../../../src/mesh/identity-conflicts.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const [self, first, second] = ['self', 'first', 'second'] as unknown as [PeerId, PeerId, PeerId];

describe('an identity that runs twice', () => {
  it('is told of by whoever is refused, with who refuses and the way out, until one of them takes it in', () => {
    const conflicts = new IdentityConflicts(self, new ManualClock());
    assert.deepEqual(conflicts.problems(), []);
    conflicts.refusedBy(first);
    conflicts.refusedBy(second);
    const [problem] = conflicts.problems();
    for (const part of [/self already runs elsewhere/, /first, second/, /Stop one of the two/])
      assert.match(String(problem), part);
    conflicts.linked(first);
    assert.doesNotMatch(String(conflicts.problems()[0]), /first/);
    conflicts.linked(second);
    assert.deepEqual(conflicts.problems(), []);
  });

  it('is told of by whoever refuses, for a minute after the last try', async () => {
    const clock = new ManualClock();
    const conflicts = new IdentityConflicts(self, clock);
    conflicts.refused(first, '/ip4/10.0.0.9/tcp/1');
    assert.match(String(conflicts.problems()[0]), /first runs twice: .*10\.0\.0\.9/);
    await clock.advance(61_000);
    assert.deepEqual(conflicts.problems(), []);
  });
});
