import type { Clock } from '../base/index.ts';
import { type AttemptContext, type ExecutionResult, type Executor, NO_NETWORK } from '../jobs/index.ts';

export type Health = 'ok' | 'failing';

/** Faults in a row after which a worker counts as failing. */
export const FAULTS_TO_FAIL = 3;
/** Without a further fault it counts as well again after this: where jobs keep away from it, nothing else could show it. Unit: ms. */
export const FAILING_MS = 5 * 60_000;

/** Codes that speak of the node, and neither of the job nor of whoever it asked. */
const OF_THE_NODE: ReadonlySet<string> = new Set([
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
  'INCONSISTENT',
  NO_NETWORK,
]);

interface Faults {
  count: number;
  lastMs: number;
}

/**
 * How the workers of a node do, as labels that jobs may ask for: `worker.http=ok`.
 *
 * - W7 A worker is `failing` from the third attempt in a row that the node itself is to blame for, until one that it is not, or until five
 *   minutes without one.
 */
export class WorkerHealth {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #faults = new Map<string, Faults>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** @returns the executor, watched from now on. */
  watch(executor: Executor): Executor {
    const faults = { count: 0, lastMs: 0 };
    this.#faults.set(executor.type, faults);
    const { recover, settled } = executor;
    return {
      type: executor.type,
      execute: (attempt) => this.#execute(executor, attempt, faults),
      ...(recover !== undefined && { recover: () => recover.call(executor) }),
      ...(settled !== undefined && { settled: (ref) => settled.call(executor, ref) }),
    };
  }

  /** @returns a label for each worker, without a prefix. */
  labels(): Readonly<Record<string, Health>> {
    return Object.fromEntries(
      [...this.#faults].map(([type, faults]) => [`worker.${type}`, this.#healthOf(faults)]),
    );
  }

  #healthOf({ count, lastMs }: Faults): Health {
    const isFailing = count >= FAULTS_TO_FAIL && this.#clock.monotonicMs() - lastMs < FAILING_MS;
    return isFailing ? 'failing' : 'ok';
  }

  async #execute(executor: Executor, attempt: AttemptContext, faults: Faults): Promise<ExecutionResult> {
    try {
      const result = await executor.execute(attempt);
      this.#note(faults, !result.ok && OF_THE_NODE.has(result.error.code));
      return result;
    } catch (error) {
      this.#note(faults, true);
      throw error;
    }
  }

  #note(faults: Faults, isFault: boolean): void {
    faults.count = isFault ? faults.count + 1 : 0;
    faults.lastMs = this.#clock.monotonicMs();
  }
}
