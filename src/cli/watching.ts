import { AspenError, formatDuration } from '../base/index.ts';
import type { CommandContext } from './command.ts';

/** What a timer takes. Unit: ms. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/**
 * Shows what comes until the user interrupts, or `--timeout` is over: which is not what the caller waited for, so that ends with 8.
 * @param watch ends when its signal aborts. @returns the exit code. @throws AspenError DEADLINE_EXCEEDED
 */
export async function whileWatching(
  { io, flags }: Pick<CommandContext, 'io' | 'flags'>,
  what: string,
  watch: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const { timeoutMs } = flags;
  const abort = new AbortController();
  let isOver = false;
  const end = () => {
    isOver = true;
    abort.abort();
  };
  using _ = io.onInterrupt(() => abort.abort());
  const timer = timeoutMs === undefined ? undefined : setTimeout(end, Math.min(timeoutMs, TIMER_LIMIT_MS));
  try {
    await watch(abort.signal);
  } finally {
    clearTimeout(timer);
  }
  if (!isOver || timeoutMs === undefined) return 0;
  const message = `watched ${what} for ${formatDuration(timeoutMs)}, as --timeout said`;
  throw new AspenError('DEADLINE_EXCEEDED', message, { outcome: 'not-applied' });
}
