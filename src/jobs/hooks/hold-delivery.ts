import type { Held, Running } from '../start-rules.ts';
import { gateOf } from './breaker.ts';
import { HOOK_CONCURRENCY, type Hook } from './hook.ts';

/** E4 @param hook undefined when it was removed: what is left of it runs, and learns so. @returns why no delivery of it may start now. */
export function holdDelivery(
  hook: Hook | undefined,
  { running, groupMs }: { readonly running: Pick<Running, 'ofQueue'>; readonly groupMs: number },
): Held | undefined {
  if (hook === undefined) return undefined;
  const { id, paused, openUntilMs } = hook;
  if (paused !== null) {
    const because = paused.reason === null ? '' : `: ${paused.reason}`;
    return { by: 'hook', reason: `${id} is paused${because}`, retryAfterMs: null };
  }
  const gate = gateOf(hook, groupMs);
  if (gate === 'open') {
    const retryAfterMs = (openUntilMs as number) - groupMs;
    return {
      by: 'hook',
      reason: `the circuit of ${id} is open: next probe in ${retryAfterMs} ms`,
      retryAfterMs,
    };
  }
  const runningCount = running.ofQueue(id).running;
  const most = gate === 'closed' ? HOOK_CONCURRENCY : 1;
  if (runningCount < most) return undefined;
  return { by: 'hook', reason: `${id}: ${runningCount} of ${most} deliveries run`, retryAfterMs: null };
}
