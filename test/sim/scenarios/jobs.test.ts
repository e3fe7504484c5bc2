import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';

describe('a job in the simulated mesh', () => {
  scenario('submitted fifty times at once under one key, through all members, is one', async (world) => {
    const names = world.members.map(({ name }) => name);
    const submits = Array.from({ length: 50 }, (_, at) => {
      const spec = { id: `job_try-${at}`, type: 'echo', idempotencyKey: 'the-one' };
      return world.node(names[at % names.length] as string).call('job.submit', spec);
    });
    const answers = await world.settled(Promise.all(submits));
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
    assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
    world.observe({ type: 'accepted', job: (answers[0] as { id: string }).id });
    await world.settle();
  });

  scenario(
    'that closes a diamond runs once, although the leader dies when the first has ended',
    async (world) => {
      const begun: string[] = [];
      world.onObserved((event) => event.type === 'assigned' && begun.push(`${event.job} ${event.token}`));
      const [one, two, three] = world.members.map(({ name }) => name) as [string, string, string];
      const work = { type: 'echo', payload: { delayMs: 500 } };
      await world.submit({ ...work, id: 'job_a' }, one);
      await world.submit({ ...work, id: 'job_b', dependsOn: ['job_a'] }, two);
      await world.submit({ ...work, id: 'job_c', dependsOn: ['job_a'] }, three);
      await world.submit({ ...work, id: 'job_d', dependsOn: ['job_b', 'job_c'] }, one);
      const ended = new Set<string>();
      world.onObserved((event) => event.type === 'ended' && ended.add(event.job));
      await world.until(() => ended.has('job_a'), { limitMs: 30_000, what: 'the first job ends' });
      const leader = world.leader();
      leader.crash();
      const elsewhere = world.other(leader).name;
      await world.until(() => ended.has('job_d'), { limitMs: 90_000, what: 'the last job ends' });
      assert.equal((await world.job('job_d', elsewhere)).state, 'succeeded');
      assert.deepEqual(await world.outcomesOf('job_d', elsewhere), [{ attempt: 1, outcome: 'succeeded' }]);
      assert.equal(new Set(begun.filter((told) => told.startsWith('job_d '))).size, 1);
      leader.start();
      await world.settle();
    },
  );

  scenario(
    'that is cancelled while its node is cut off is stopped when that is heard of again',
    async (world) => {
      const id = await world.submit({
        type: 'shell',
        payload: { command: 'sleep', args: ['600'] },
        offline: 'keep',
      });
      const worker = await world.workerOf(id);
      const elsewhere = world.other(worker).name;
      world.network.isolate(worker.name);
      await world.advance(20_000);
      const asked = await world.call(elsewhere, 'job.cancel', { id, reason: 'not needed' });
      assert.equal(asked.state, 'cancelling');
      await world.advance(5_000);
      assert.equal((await world.job(id, elsewhere)).state, 'cancelling');
      world.network.heal();
      await world.settle();
      assert.equal((await world.job(id, elsewhere)).state, 'cancelled');
    },
  );

  scenario(
    'of four priorities submitted to a busy mesh run in the reverse order of their submission',
    async (world) => {
      const slots = world.members.length * 16;
      const payload = { delayMs: 5_000 };
      await world.submitAll(
        Array.from({ length: slots }, (_, at) => ({ type: 'echo', id: `job_busy-${at}`, payload })),
      );
      const begun: string[] = [];
      world.onObserved(
        (event) => event.type === 'assigned' && !begun.includes(event.job) && begun.push(event.job),
      );
      for (const priority of ['low', 'normal', 'high', 'critical'] as const)
        await world.submit({ type: 'echo', id: `job_${priority}`, priority });
      await world.settle();
      assert.deepEqual(
        begun.filter((job) => !job.startsWith('job_busy')),
        ['job_critical', 'job_high', 'job_normal', 'job_low'],
      );
    },
  );
});
