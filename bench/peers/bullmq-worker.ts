import { BULLMQ_VERSIONS } from './bullmq.ts';
import { npmPackages } from './install.ts';
import { WORKER_SLOTS } from './queue-peer.ts';

/** A worker process of BullMQ: `bullmq-worker.ts PORT QUEUE`. Says `ready`. */
const [, , port, queue] = process.argv;
const { Worker } = npmPackages(BULLMQ_VERSIONS)('bullmq') as {
  Worker: new (
    name: string | undefined,
    handler: () => Promise<number>,
    options: object,
  ) => { waitUntilReady(): Promise<unknown> };
};
const worker = new Worker(queue, async () => 0, {
  connection: { host: '127.0.0.1', port: Number(port) },
  concurrency: WORKER_SLOTS,
  removeOnComplete: { count: 0 },
});
await worker.waitUntilReady();
console.log('ready');
