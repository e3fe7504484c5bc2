/**
 * A program that attaches as a worker, as users write it. `node worker-program.ts DATA_DIR CONCURRENCY [LABEL=VALUE]`; it writes one JSON
 * line for each thing that happens, and detaches in order at the end of its input.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type AttemptControl, defineWorker, type WorkerJob } from '../../../src/sdk/index.ts';

const [dataDir = '', concurrency = '1', label] = process.argv.slice(2);

function say(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

const worker = defineWorker(
  {
    handlers: {
      'e2e.echo': ({ payload }: WorkerJob<unknown>) => payload,
      /** Begins twice: the first time it does not end by itself. */
      'e2e.hang-once': async ({ id }: WorkerJob, control: AttemptControl) => {
        if (control.attempt > 1) return control.attempt;
        say({ event: 'begun', jobId: id, attempt: control.attempt });
        return await new Promise(() => control.signal);
      },
      /** Lets nothing else run in this thread meanwhile. */
      'e2e.block': ({ id, payload }: WorkerJob<{ ms: number }>, { attempt }: AttemptControl) => {
        say({ event: 'begun', jobId: id, attempt });
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, payload.ms);
        return { attempt };
      },
      'e2e.wait': async ({ id, payload }: WorkerJob<{ ms: number }>, control: AttemptControl) => {
        say({ event: 'begun', jobId: id, attempt: control.attempt });
        control.progress({ percent: 50 });
        await control.log(`attempt ${control.attempt}\n`);
        try {
          await pause(payload.ms, undefined, { signal: control.signal });
        } catch {
          say({ event: 'stopped', jobId: id, reason: control.signal.reason.reason });
          throw control.signal.reason;
        }
        return { pid: process.pid };
      },
    },
    concurrency: Number(concurrency),
    ...(label === 'heartbeats=manual' && { heartbeats: 'manual' as const }),
    ...(label !== undefined && { labels: Object.fromEntries([label.split('=')]) }),
    onAttached: (workerId) => say({ event: 'attached', workerId }),
    onDetached: (error) => say({ event: 'detached', code: error?.code ?? null }),
    onSettled: ({ jobId, attempt, accepted, reason }) => {
      if (!accepted || concurrency === '1') say({ event: 'settled', jobId, attempt, accepted, reason });
    },
  },
  { dataDir },
);
await worker.start();
process.stdin.resume().once('end', () => void worker.close());
