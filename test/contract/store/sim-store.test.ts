import { SeededRandom } from '../../../src/base/index.ts';
import { Scheduler, SimDisk, SimProcess } from '../../sim/ground/index.ts';
import { describeStore } from './store-contract.ts';

/** Pause between runs of the world, so that the contract's awaits go on without knowing of it. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describeStore('simulated', async () => {
  const scheduler = new Scheduler(1);
  const disk = new SimDisk(new SeededRandom(1));
  let isOver = false;
  const running = (async () => {
    while (!isOver) {
      await scheduler.run({});
      await nextTurn();
    }
  })();
  return {
    open: async () => disk.open(new SimProcess({ name: 'a', scheduler })),
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await running;
    },
  };
});
