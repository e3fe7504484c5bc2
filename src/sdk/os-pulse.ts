import { Worker as Thread } from 'node:worker_threads';
import type { Pulse, PulseData, PulsedAttempt, PulseOrder } from './pulse.ts';

/**
 * A pulse from a thread of its own, which is started with the first attempt that needs one.
 *
 * - R13 Its beats need nothing of the thread that runs the handlers: they go on while that is blocked, and end with the process.
 */
export class ThreadPulse implements Pulse {
  readonly #data: PulseData;
  #thread: Thread | undefined;

  constructor(socketPath: string) {
    this.#data = { socketPath };
  }

  begin(attempt: PulsedAttempt): void {
    this.#tell({ ...attempt, isOver: false });
  }

  end(attempt: PulsedAttempt): void {
    this.#tell({ ...attempt, isOver: true });
  }

  close(): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
  }

  #tell(order: PulseOrder): void {
    this.#thread ??= this.#start();
    this.#thread.postMessage(order);
  }

  /** A thread that failed is replaced at the next attempt; those that it beat for end by their limit of silence, as they should. */
  #start(): Thread {
    const program = new URL('./os-pulse-thread.ts', import.meta.url);
    const thread = new Thread(program, { workerData: this.#data });
    thread.unref();
    thread.on('error', (error) => {
      process.emitWarning(`no heartbeats are sent: ${error.message}`);
      if (this.#thread === thread) this.#thread = undefined;
    });
    return thread;
  }
}
