import { type Clock, sleep } from '../base/index.ts';
import { type AttemptContext, type ExecutionResult, type Executor, stopReasonOf } from '../jobs/index.ts';
import { parseRate } from './config-values.ts';

/**
 * Begins attempts of a type no faster than the owner of the node says: each waits until its time has come, in the order in which they arrived, and holds its
 * slot meanwhile. `10/s` is one every 100 ms; pauses are not saved up. What was begun by an earlier agent goes on as it is.
 */
export function rateLimited(
  executor: Executor,
  { clock, rates }: { readonly clock: Clock; readonly rates: Readonly<Record<string, string>> },
): Executor {
  const rate = Object.hasOwn(rates, executor.type) ? rates[executor.type] : undefined;
  if (rate === undefined) return executor;
  const { count, perMs } = parseRate(rate);
  const turns = new Turns(clock, perMs / count);
  return {
    type: executor.type,
    execute: async (attempt: AttemptContext): Promise<ExecutionResult> => {
      await turns.next(attempt.signal);
      return executor.execute(attempt);
    },
    ...(executor.recover !== undefined && { recover: () => executor.recover?.() ?? Promise.resolve([]) }),
    ...(executor.settled !== undefined && { settled: (ref) => executor.settled?.(ref) }),
  };
}

class Turns {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #freeAtMs = 0;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Resolves when its turn has come, or when nobody wants it any more: whoever executes it looks at that first. */
  async next(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const atMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = atMs + this.#everyMs;
    if (atMs <= nowMs) return;
    try {
      await sleep(this.#clock, atMs - nowMs, signal);
    } catch (error) {
      if (stopReasonOf(signal) === null) throw error;
    }
  }
}
