import { type Clock, every, type Logger } from '../base/index.ts';
import { keyNumber } from '../storage/index.ts';
import type { Leadership } from './group.ts';

const CHECK_EVERY_MS = 500;

/** Proposes the removal of keys whose time has come. One proposal at a time; what it leaves is taken by the next. */
export function expireKeys(
  leadership: Leadership,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Disposable {
  let isProposing = false;
  return every(clock, CHECK_EVERY_MS, () => {
    if (isProposing || !isDue(leadership)) return;
    isProposing = true;
    leadership
      .propose({ module: 'kv', kind: 'expire', body: null })
      .catch((err: unknown) => log.debug({ err }, 'expiry not proposed, will try again'))
      .finally(() => {
        isProposing = false;
      });
  });
}

function isDue(leadership: Leadership): boolean {
  if (leadership.signal.aborted) return false;
  return leadership.read(({ module }) => {
    for (const [key] of module('kv').table<1>('expiry').range({ limit: 1 })) {
      return keyNumber(key) <= leadership.groupMs();
    }
    return false;
  });
}
