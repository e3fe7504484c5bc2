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
  readonly #onFailure: (error: unknown) => void;
  #runningCount = 0;
  /** Of those who wait until none runs. */
  #onIdle: (() => void)[] = [];
  /** One for all tasks: some parts run one for each job. */
  readonly #ended = (): void => {
    this.#runningCount -= 1;
    if (this.#runningCount > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  };
  readonly #failed = (error: unknown): void => {
    this.#ended();
    if (!this.#abort.signal.aborted) this.#onFailure(error);
  };

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Aborted by `stop`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  run(task: (signal: AbortSignal) => Promise<void>): void {
    this.#runningCount += 1;
    begun(task, this.#abort.signal).then(this.#ended, this.#failed);
  }

  async stop(reason: unknown = new Error('stopped')): Promise<void> {
    this.#abort.abort(reason);
    while (this.#runningCount > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
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
