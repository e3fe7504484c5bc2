import { type Clock, every, type Logger } from '../base/index.ts';
import { type Leadership, onceApplied } from '../lease/index.ts';
import { hasCascade } from './dependents.ts';
import { TICK_MS } from './holds.ts';
import type { PurgeCursor } from './retention.ts';
import { nextDueMs, nextExpiryMs, nextInstant } from './upkeep.ts';

const LOOK_EVERY_MS = 200;
/** After a purge that found nothing it may remove; once all was looked at, twice as long each time. Unit: ms. */
const PURGE_REST = { firstMs: 400, mostMs: 12_800 };

/** What a command of upkeep came to. */
interface Done {
  readonly isMore: boolean;
  readonly purged?: number;
  readonly next?: PurgeCursor | null;
}

export interface UpkeepComponents {
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether any attempt runs, whose hold grows with group time. */
  readonly isAnyRunning: () => boolean;
}

/**
 * Proposes what time has made due: scheduled jobs to queue, jobs that waited too long to end, dependents to tell, expired records to remove.
 *
 * - P5 While anything waits for group time or is measured by it, a command carries it on at least every TICK_MS, so that a later leader
 *   begins where this one ended: a delay is not waited for twice, and holds do not shrink (H2).
 */
export function keepUp({ leadership, clock, log, isAnyRunning }: UpkeepComponents): Disposable {
  const underWay = new Set<string>();
  let purgeRestMs = 0;
  let purgeFromMs = 0;
  /** Q11: where the next purge goes on. Whoever leads next begins at the beginning. */
  let cursor: PurgeCursor | null = null;
  const agreed = onceApplied((jobs) => ({
    appliedMs: jobs.groupMs,
    dueMs: nextDueMs(jobs),
    expiryMs: nextExpiryMs(jobs),
    instantMs: nextInstant(jobs),
    isUntold: hasCascade(jobs),
  }));
  return every(clock, LOOK_EVERY_MS, () => {
    const nowMs = leadership.groupMs();
    const { appliedMs, dueMs, expiryMs, instantMs, isUntold } = leadership.read(({ module }) =>
      agreed(module('jobs')),
    );
    const isMeasured = dueMs !== null || isAnyRunning();
    const isTickDue = isMeasured && nowMs - appliedMs >= TICK_MS; // P5
    const isInstantDue = instantMs !== null && instantMs <= clock.wallMs();
    if (isTickDue || isInstantDue || isUntold || (dueMs !== null && dueMs <= nowMs)) propose('release');
    const mayPurge = clock.monotonicMs() >= purgeFromMs; // Q10: what is too much may have to stay
    if (mayPurge && expiryMs !== null && expiryMs <= nowMs) propose('purge');
  });

  function restAfter(purged: number): void {
    const { firstMs, mostMs } = PURGE_REST;
    if (purged > 0) purgeRestMs = 0;
    else if (cursor === null) purgeRestMs = Math.min(mostMs, Math.max(firstMs, purgeRestMs * 2));
    const restMs = purged > 0 ? 0 : Math.max(firstMs, cursor === null ? purgeRestMs : 0);
    purgeFromMs = clock.monotonicMs() + restMs;
  }

  /** One of each kind at a time; at once again while a command could not move all that was due. */
  function propose(kind: 'release' | 'purge'): void {
    if (underWay.has(kind) || leadership.signal.aborted) return;
    underWay.add(kind);
    leadership
      .propose<Done>({
        module: 'jobs',
        kind,
        body: kind === 'purge' && cursor !== null ? { from: cursor } : null,
      })
      .then(({ isMore, purged, next = null }) => {
        if (kind === 'purge') cursor = next;
        if (purged !== undefined) restAfter(purged);
        return isMore;
      })
      .catch((err: unknown) => {
        log.debug({ err, kind }, 'upkeep not agreed, will try again');
        return false;
      })
      .then((isMore) => {
        underWay.delete(kind);
        if (isMore) propose(kind);
      });
  }
}
