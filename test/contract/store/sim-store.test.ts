import { SeededRandom } from '../../../src/base/index.ts';
import { openJournaledStore } from '../../../src/storage/index.ts';
import { Scheduler, SimClock, SimDisk, SimJournalDisk, SimProcess } from '../../sim/ground/index.ts';
import { describeStore, type StoreGround } from './store-contract.ts';

/** Pause between runs of the world, so that the contract's awaits go on without knowing of it. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function simulated(open: (disk: SimDisk, process: SimProcess) => ReturnType<StoreGround['open']>) {
  return async (): Promise<StoreGround> => {
    const scheduler = new Scheduler(1);
    const disk = new SimDisk(new SeededRandom(1));
    let isOver = false;
    const running = (async () => {
      while (!isOver) {
        await scheduler.run({ maxEvents: 1_000 });
        await nextTurn();
      }
    })();
    return {
      open: () => open(disk, new SimProcess({ name: 'a', scheduler })),
      [Symbol.asyncDispose]: async () => {
        isOver = true;
        await running;
      },
    };
  };
}

describeStore(
  'simulated',
  simulated(async (disk, process) => disk.open(process)),
);

describeStore(
  'simulated, behind a journal',
  simulated((disk, process) =>
    openJournaledStore({
      base: disk.open(process),
      disk: new SimJournalDisk(disk, process),
      clock: new SimClock(process),
      random: new SeededRandom(2),
    }),
  ),
);
