import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { scenario } from '../world/scenario.ts';
import type { StoryWorld } from '../world/story-world.ts';

/** Reads by lease through a leader that is cut off, ten times a second, while the others elect another, which writes. */
async function staleReadsOfDeposed(world: StoryWorld): Promise<number> {
  const leader = world.leader();
  const majority = world.other(leader).name;
  await world.call(majority, 'kv.put', { key: 'k', value: 'old' });
  await world.advance(2_000); // it has led for long enough to have a lease
  world.network.isolate(leader.name);
  let isWritten = false;
  const write = async () => {
    await world.node(majority).call('kv.put', { key: 'k', value: 'new' });
    isWritten = true;
  };
  const read = async () => {
    const wasWritten = isWritten;
    const found = await leader.call('kv.get', { key: 'k', consistency: 'lease' });
    if (wasWritten && found?.value === 'old') staleCount += 1;
  };
  let staleCount = 0;
  const written = write();
  for (let at = 0; at < 100; at += 1) {
    read().catch((error: unknown) => {
      if (!(error instanceof AspenError)) world.fail(error, 'a reader');
    });
    await world.advance(100);
  }
  await written;
  assert.ok(isWritten);
  return staleCount;
}

describe('reads by lease in the simulated mesh', () => {
  scenario(
    'are never stale where clocks keep their bounds',
    async (world) => assert.equal(await staleReadsOfDeposed(world), 0),
    { clocks: { n1: { drift: -0.05 }, n2: { drift: 0.04 } } },
  );

  scenario(
    'need these bounds: a leader whose clock runs at a quarter of its speed answers after it was deposed',
    async (world) => assert.ok((await staleReadsOfDeposed(world)) > 0),
    { clocks: { n1: { drift: -0.75 } } },
  );
});
