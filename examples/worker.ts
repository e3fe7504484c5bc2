/**
 * A worker of your own: a program that attaches to the agent on this machine and runs jobs of the types it names.
 *
 *   aspen-agent up --data-dir /tmp/a &
 *   npx node examples/worker.ts /tmp/a        # in the checkout: its own Node, 24 or newer
 *   aspen-agent job submit thumbnail '{"url":"https://example.org/cat.png"}' --data-dir /tmp/a
 *
 * Ctrl-C lets what runs finish. If this process dies instead, its jobs run elsewhere at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type AttemptControl, defineWorker, NonRetryableError, type WorkerJob } from '../src/sdk/index.ts'; // 'aspen-agent/sdk' elsewhere

const STEPS = 5;
const STEP_MS = 200;

const worker = defineWorker(
  {
    handlers: {
      thumbnail: async ({ payload }: WorkerJob<{ url?: string }>, control: AttemptControl) => {
        if (payload?.url === undefined) throw new NonRetryableError('payload.url is missing');
        for (let step = 1; step <= STEPS; step += 1) {
          await pause(STEP_MS, undefined, { signal: control.signal }); // ends early when the job is cancelled
          control.progress({ percent: (step / STEPS) * 100 });
          await control.log(`step ${step} of ${payload.url}\n`);
        }
        // Write with the token: a store that refuses smaller tokens than it has seen is safe from an attempt that was given up.
        return { url: payload.url, width: 128, fencingToken: control.fencingToken };
      },
    },
    concurrency: 4,
    labels: { renderer: 'software' },
    onAttached: (workerId) => console.log(`attached as ${workerId}`),
    onDetached: (error) => console.log(error?.message ?? 'the connection is lost, trying again'),
    onSettled: ({ jobId, accepted, reason }) =>
      console.log(jobId, accepted ? 'settled' : `not accepted: ${reason}`),
  },
  { dataDir: process.argv[2] ?? '.' },
);

await worker.start();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void worker.close());
