import { type Clock, every, type Logger } from '../base/index.ts';
import { keyNumber } from '../storage/index.ts';
import type { Leadership } from './group.ts';

/** How much later than its deadline a lease may end. Unit: ms. */
const CHECK_EVERY_MS = 200;

/** Proposes the end of leases whose time has come. One proposal at a time; what it leaves is taken by the next. */
export function expireLeases(
  leadership: Leadership,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Disposable {
  let isProposing = false;
  return every(clock, CHECK_EVERY_MS, () => {
    if (isProposing || !isDue(leadership)) return;
    isProposing = true;
    leadership
      .propose({ module: 'leases', kind: 'expire', body: null })
      .catch((err: unknown) => log.debug({ err }, 'end of leases not proposed, will try again'))
      .finally(() => {
        isProposing = false;
      });
  });
}

function isDue(leadership: Leadership): boolean {
  if (leadership.signal.aborted) return false;
  return leadership.read(({ module }) => {
    for (const [key] of module('leases').table<1>('expiry').range({ limit: 1 })) {
      return keyNumber(key) <= leadership.groupMs();
    }
    return false;
  });
}
