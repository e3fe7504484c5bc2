import type { Clock } from './clock.ts';
import { AspenError } from './errors.ts';

/**
 * Waits for `work`, but no longer than `timeoutMs`. The work itself is told through the signal it was given.
 * @throws AspenError DEADLINE_EXCEEDED naming `what`; the signal's reason when it aborts first.
 */
export function withDeadline<T>(
  { clock, timeoutMs, what, signal }: { clock: Clock; timeoutMs: number; what: string; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const onOuterAbort = () => end(() => reject(signal?.reason));
    const timer = clock.setTimer(timeoutMs, () =>
      end(() => reject(new AspenError('DEADLINE_EXCEEDED', `${what} took longer than ${timeoutMs} ms`))),
    );
    const end = (settle: () => void) => {
      timer.cancel();
      signal?.removeEventListener('abort', onOuterAbort);
      settle();
      abort.abort(new Error(`${what} is over`));
    };
    if (signal?.aborted) {
      onOuterAbort();
      return;
    }
    signal?.addEventListener('abort', onOuterAbort, { once: true });
    work(abort.signal).then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}

/** @returns a promise that settles when the signal aborts; it never rejects. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Waits for `work`, or for the signal: what comes of work that nobody waits for any more is nobody's. @throws the signal's reason when it aborts first. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const unfollow = () => signal.removeEventListener('abort', onAbort);
    work.then(resolve, reject).finally(unfollow);
  });
}
