import { type Clock, every, type Logger } from '../base/index.ts';
import { keyNumber } from '../storage/index.ts';
import type { Leadership } from './group.ts';
import type { QueryContext } from './machine/index.ts';
import { onceApplied } from './once-applied.ts';

/** What ends by itself, by group time. */
export interface Expiring {
  /** It has a table `expiry` whose keys begin with the group time, and a command `expire` that removes what is due. */
  readonly module: string;
  /** How much later than its time something may end. Unit: ms. */
  readonly everyMs: number;
}

/** Keys with a time to live. */
export const KEYS: Expiring = { module: 'kv', everyMs: 500 };
export const LEASES: Expiring = { module: 'leases', everyMs: 200 };

/** Proposes the end of what is due. One proposal at a time; what it leaves is taken by the next. */
export function expire(
  { module, everyMs }: Expiring,
  leadership: Leadership,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Disposable {
  let isProposing = false;
  const firstMs = onceApplied(firstExpiryMs);
  const isDue = () =>
    !leadership.signal.aborted &&
    leadership.read(({ module: of }) => firstMs(of(module)) <= leadership.groupMs());
  return every(clock, everyMs, () => {
    if (isProposing || !isDue()) return;
    isProposing = true;
    leadership
      .propose({ module, kind: 'expire', body: null })
      .catch((err: unknown) => log.debug({ err, module }, 'expiry not proposed, will try again'))
      .finally(() => {
        isProposing = false;
      });
  });
}

function firstExpiryMs(context: QueryContext): number {
  for (const [key] of context.table<1>('expiry').range({ limit: 1 })) return keyNumber(key);
  return Number.POSITIVE_INFINITY;
}
