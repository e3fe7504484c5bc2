import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';
import type { Spec } from '../world/story-world.ts';

const LONG_WORK: Spec = {
  type: 'shell',
  payload: { command: 'sleep', args: ['60'] },
  retry: { maxAttempts: 3 },
};

describe('a worker in the simulated mesh', () => {
  scenario(
    'that is cut off has stopped its attempt when the job is given away, and the old attempt never ends it',
    async (world) => {
      const started: string[] = [];
      world.onObserved((event) => event.type === 'runs' && started.push(event.node));
      const id = await world.submit(LONG_WORK);
      const worker = await world.workerOf(id);
      const elsewhere = world.other(worker).name;
      world.network.isolate(worker.name);
      const again = () => started.length > 1;
      await world.until(again, { limitMs: 60_000, what: 'the job runs elsewhere' });
      world.laws.checkSafety(); // attempts never overlap
      assert.deepEqual(started[0], worker.name);
      assert.notEqual(started[1], worker.name);
      world.network.heal();
      await world.settle();
      const job = await world.job(id, elsewhere);
      assert.equal(job.state, 'succeeded');
      assert.equal(job.attempt, 2);
      const outcomes = await world.outcomesOf(id, elsewhere);
      assert.deepEqual(outcomes, [
        { attempt: 1, outcome: 'lost' },
        { attempt: 2, outcome: 'succeeded' },
      ]);
    },
  );

  scenario('that loses power has its job run elsewhere', async (world) => {
    const id = await world.submit({ type: 'echo', payload: { delayMs: 8_000 }, retry: { maxAttempts: 3 } });
    const worker = await world.workerOf(id);
    worker.crash();
    const elsewhere = world.other(worker).name;
    await world.until(() => world.laws.openJobs().length === 0, { limitMs: 90_000, what: 'the job ends' });
    const job = await world.job(id, elsewhere);
    assert.equal(job.state, 'succeeded');
    assert.notEqual(world.nameOf(job.node ?? ''), worker.name);
    worker.start();
    await world.settle();
  });

  scenario('that slept gives up what it ran: the time of its sleep counts', async (world) => {
    const id = await world.submit(LONG_WORK);
    const worker = await world.workerOf(id);
    world.targets.sleep(worker.name, 40_000);
    const wakes = world.links.block([worker.name], world.names);
    const hears = world.links.block(world.names, [worker.name]);
    await world.advance(40_000);
    wakes[Symbol.dispose]();
    hears[Symbol.dispose]();
    await world.settle();
    const job = await world.job(id, world.other(worker).name);
    assert.equal(job.state, 'succeeded');
    assert.ok(job.attempt >= 2, `attempt ${job.attempt}`);
  });

  scenario(
    'that slept within the hold of what it ran tells nothing of it: its session is over',
    async (world) => {
      const id = await world.submit({ type: 'echo', payload: { delayMs: 4_000 }, retry: { maxAttempts: 3 } });
      const worker = await world.workerOf(id);
      let sleeps = 0;
      world.onObserved((event) => {
        if (event.type === 'slept' && event.node === worker.name) sleeps += 1;
      });
      world.targets.sleep(worker.name, 3_000);
      await world.advance(3_000);
      await world.settle(); // sleepers complete nothing
      const outcomes = await world.outcomesOf(id, world.other(worker).name);
      assert.deepEqual(
        [sleeps, outcomes[0], outcomes.length > 1],
        [1, { attempt: 1, outcome: 'lost' }, true],
      );
    },
  );
});
