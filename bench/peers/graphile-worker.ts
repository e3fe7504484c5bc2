import { GRAPHILE_VERSIONS, TASK } from './graphile.ts';
import { npmPackages } from './install.ts';
import { WORKER_SLOTS } from './queue-peer.ts';

/** A worker process of graphile-worker: `graphile-worker.ts URL`. Says `ready`. */
const [, , connectionString] = process.argv;
const { run, Logger } = npmPackages(GRAPHILE_VERSIONS)('graphile-worker') as {
  run(options: object): Promise<unknown>;
  Logger: new (factory: () => () => void) => object;
};
await run({
  preset: {
    worker: {
      connectionString,
      concurrentJobs: WORKER_SLOTS,
      maxPoolSize: 20,
      pollInterval: 2_000,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger: new Logger(() => () => undefined),
    },
  },
  noHandleSignals: true,
  taskList: { [TASK]: async () => undefined },
});
console.log('ready');
