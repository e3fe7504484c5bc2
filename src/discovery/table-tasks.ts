import { type Clock, type Logger, Tasks, withDeadline } from '../base/index.ts';

export interface TableTasksComponents {
  readonly clock: Clock;
  readonly log: Logger;
}

type Run = (signal: AbortSignal) => Promise<void>;

/** Longest for one search, or one record told. Unit: ms. */
const TASK_MS = 20_000;
/** Tasks that wait for their turn. */
const WAITING_LIMIT = 32;

/** What a node asks of the table of addresses, one after the other: the table is never in a hurry. */
export class TableTasks {
  readonly #components: TableTasksComponents;
  readonly #waiting: { readonly what: string; readonly run: Run }[] = [];
  #tasks: Tasks | undefined;
  #isWorking = false;

  constructor(components: TableTasksComponents) {
    this.#components = components;
  }

  start(): void {
    const { log } = this.#components;
    this.#tasks = new Tasks((err) => log.error({ err }, 'the table failed in an unknown way'));
  }

  /** Gives up what waits and joins what runs. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    await this.#tasks?.stop();
  }

  /** Dropped where the same waits already, or too much does. */
  add(what: string, run: Run): void {
    if (this.#waiting.length >= WAITING_LIMIT || this.#waiting.some((task) => task.what === what)) return;
    this.#waiting.push({ what, run });
    if (!this.#isWorking) this.#tasks?.run((signal) => this.#work(signal));
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#components;
    this.#isWorking = true;
    try {
      for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
        const { what, run } = task;
        try {
          await withDeadline({ clock, timeoutMs: TASK_MS, what, signal }, run);
        } catch (err) {
          if (signal.aborted) return;
          log.debug({ err, what }, 'the table gave no answer');
        }
      }
    } finally {
      this.#isWorking = false;
    }
  }
}
