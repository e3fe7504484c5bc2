import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';

const HOUR_MS = 3_600_000;
const HOURS = 2;
/** Two hours of a mesh are a minute of a processor. Unit: ms. */
const REAL_LIMIT_MS = 600_000;
/** Something happens to the mesh so often, in turns. Unit: ms. */
const EVERY_MS = HOUR_MS / 12;
/** Shorter than the shortest hold. Unit: ms. */
const CUT_MS = 2_500;

describe('a job of hours in the simulated mesh', () => {
  scenario(
    'is begun once while its worker lives, whatever becomes of leaders and links meanwhile',
    async (world) => {
      const begun: string[] = [];
      world.onObserved((event) => event.type === 'runs' && begun.push(`${event.job} on ${event.node}`));
      const seconds = String((HOURS * HOUR_MS) / 1_000);
      const id = await world.submit({ type: 'shell', payload: { command: 'sleep', args: [seconds] } });
      const worker = await world.workerOf(id);
      const rivals = world.members.filter((node) => node !== worker);
      for (let turn = 0; turn < HOURS * (HOUR_MS / EVERY_MS) - 1; turn += 1) {
        await world.advance(EVERY_MS);
        const rival = rivals[turn % rivals.length] as (typeof rivals)[number];
        if (turn % 3 === 0) {
          rival.crash();
          rival.machine.after(5_000, () => rival.start());
        } else if (turn % 3 === 1) {
          await world.settled(world.tried(worker, 'group.transfer', { to: rival.peerId }));
        } else {
          world.network.isolate(worker.name);
          await world.advance(CUT_MS);
          world.network.heal();
        }
      }
      const isOver = () => world.laws.openJobs().length === 0;
      await world.until(isOver, { limitMs: HOUR_MS, what: 'the job ends' });
      await world.settle();
      const job = await world.job(id);
      assert.deepEqual([job.state, job.attempt], ['succeeded', 1]);
      assert.deepEqual(begun, [`${id} on ${worker.name}`]);
    },
    { realLimitMs: REAL_LIMIT_MS },
  );
});
