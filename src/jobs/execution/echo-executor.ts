import { type Clock, sleep } from '../../base/index.ts';
import {
  type AttemptContext,
  type ExecutionResult,
  type Executor,
  stoppedResult,
  stopReasonOf,
} from './executor.ts';

/** Gives back its payload, after `payload.delayMs` where that is a number. For trying a mesh out, and for measuring it. */
export class EchoExecutor implements Executor {
  readonly type = 'echo';
  readonly #clock: Clock;

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  async execute({ payload, signal }: AttemptContext): Promise<ExecutionResult> {
    const delayMs = delayOf(payload);
    try {
      signal.throwIfAborted();
      if (delayMs > 0) await sleep(this.#clock, delayMs, signal);
    } catch (reason) {
      const stop = stopReasonOf(signal);
      if (stop === null) throw reason;
      return stoppedResult(stop, null);
    }
    return { ok: true, result: payload };
  }
}

function delayOf(payload: unknown): number {
  if (typeof payload !== 'object' || payload === null || !('delayMs' in payload)) return 0;
  return typeof payload.delayMs === 'number' && Number.isFinite(payload.delayMs) ? payload.delayMs : 0;
}
