/** What the owner of a node lets its own pool have. */
export interface SlotBounds {
  readonly least: number;
  readonly most: number;
}

/** What was seen of a pool, look by look, since its size was decided last. */
export interface PoolLooks {
  readonly slotCount: number;
  /** Slots that were taken at each look. */
  readonly taken: readonly number[];
  /** This node's share of the jobs that wait for a slot, as the leader told it last; null when it told nothing. */
  readonly backlog: number | null;
}

/** Looks between two decisions. */
export const LOOKS_TO_DECIDE = 8;
const GROWTH = 1.5;
const SHRINKAGE = 0.75;

/**
 * How many slots a node offers next.
 *
 * - A7 Never fewer than `least`, nor more than `most`. More by as many as wait for it, by half at most, where every slot was taken at every
 *   look; fewer by a quarter where nothing waits and half of them were free at every look, but never fewer than were taken.
 */
export function nextSlotCount({ slotCount, taken, backlog }: PoolLooks, { least, most }: SlotBounds): number {
  const within = (count: number) => Math.min(most, Math.max(least, count));
  if (taken.length === 0) return within(slotCount);
  const peak = Math.max(...taken);
  if (taken.every((count) => count >= slotCount)) {
    const half = Math.max(slotCount + 1, Math.ceil(slotCount * GROWTH));
    return within(backlog === null ? half : Math.min(half, slotCount + backlog));
  }
  if (peak * 2 <= slotCount && (backlog ?? 0) === 0)
    return within(Math.max(peak, Math.floor(slotCount * SHRINKAGE)));
  return within(slotCount);
}
