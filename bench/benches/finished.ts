import { setTimeout as pause } from 'node:timers/promises';
import { AttachedProgram } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure } from '../bench.ts';
import { BULK_JOBS, bulks, jobsPerSecond, type Load } from '../job-load.ts';
import { SLOTS, withMesh } from '../meshes.ts';
import { privateMB } from '../processes.ts';

/** How many jobs finish. `ASPEN_BENCH_FINISHED` sets another number. */
const JOBS = Number(process.env['ASPEN_BENCH_FINISHED'] ?? 2_000_000);
const LOOKS = 5;
const QUIET_MS = 3_000;
const ROUND_MS = 2_000;
const NO_OP = { type: 'e2e.echo', payload: 0 };

export const finished: Bench = {
  name: 'finished',
  method:
    `One agent and an attached worker of ${SLOTS} slots: ${JOBS} no-op jobs in bulks of ${BULK_JOBS} are submitted and completed, and kept as they are by ` +
    `default. Private memory ${QUIET_MS / 1_000} s after each of ${LOOKS} equal parts.`,
  run: () =>
    withMesh(1, async ({ leader }) => {
      using client = await leader.connect();
      await using _ = await AttachedProgram.start(leader, SLOTS);
      const figures: Figure[] = [];
      let done = 0;
      for (let look = 1; look <= LOOKS; look += 1) {
        while (done < (JOBS / LOOKS) * look) {
          const load: Load = bulks(client, NO_OP);
          await jobsPerSecond(client, load, ROUND_MS);
          done += load.ids.length;
        }
        await pause(QUIET_MS);
        figures.push(figure(`${done} jobs finished: private memory`, 'MB', [privateMB(leader.pid)]));
      }
      return figures;
    }),
};
