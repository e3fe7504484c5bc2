import { SlotList } from './slot-list.ts';

/** What is built first and started later, in the order of construction; stopped in the reverse order. */
export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * The loops of one part: started here, joined on `stop`. A loop that ends with an error while it should run is reported to
 * `onFailure`, because a part whose loop died silently looks alive.
 */
export class Tasks {
  readonly #abort = new AbortController();
  readonly #running = new SlotList<Promise<void>>();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Aborted by `stop`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  run(task: (signal: AbortSignal) => Promise<void>): void {
    const running = begun(task, this.#abort.signal).then(
      () => this.#running.remove(slot),
      (error: unknown) => {
        this.#running.remove(slot);
        if (!this.#abort.signal.aborted) this.#onFailure(error);
      },
    );
    const slot = this.#running.add(running);
  }

  async stop(reason: unknown = new Error('stopped')): Promise<void> {
    this.#abort.abort(reason);
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }
}

/** A task that throws before it waits fails like one that rejects. */
function begun(task: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    return task(signal);
  } catch (error) {
    return Promise.reject(error);
  }
}
