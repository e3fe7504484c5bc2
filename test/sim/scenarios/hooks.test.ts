import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';
import type { World } from '../world/world.ts';

const HOOK = {
  url: 'http://receiver.test/in',
  on: ['job.dead' as const],
  secret: 'a secret of some length',
};

/** Jobs of which the receiver has heard, each once. */
function heardOf(world: World): (string | null)[] {
  return [...new Set(world.receiver.heard.map(({ job }) => job))].sort();
}

describe('a hook in the simulated mesh', () => {
  scenario('hears of each dead job, also when the leader crashes before any was delivered', async (world) => {
    await world.call(world.home, 'hook.add', HOOK);
    await world.call(world.home, 'hook.pause', { id: 'last' });
    const dying = { type: 'shell', payload: { command: 'false' }, retry: { maxAttempts: 1 } };
    const ids = ['job_1', 'job_2', 'job_3'];
    for (const id of ids) await world.submit({ ...dying, id });
    await world.until(() => ids.every((id) => !world.laws.openJobs().includes(id)), {
      limitMs: 60_000,
      what: 'all to die',
    });
    assert.deepEqual(heardOf(world), []);
    const leader = world.leader();
    leader.crash();
    const elsewhere = world.other(leader).name;
    await world.call(elsewhere, 'hook.resume', { id: 'last' });
    leader.start();
    await world.until(() => heardOf(world).length === ids.length, {
      limitMs: 120_000,
      what: 'the receiver to hear of all',
    });
    assert.deepEqual(heardOf(world), ids);
    world.receiver.isFlaky = false;
    await world.settle();
  });
});
