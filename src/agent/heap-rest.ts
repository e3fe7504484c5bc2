import { type Clock, every, type Logger } from '../base/index.ts';

/** The memory of the objects of this process. */
export interface Heap {
  /** What it holds, garbage and room to grow included. Unit: bytes. */
  totalBytes(): number;
  /** Gives back what it does not need. Everything stands still meanwhile, for a tenth of a second or more. */
  compact(): void;
}

export interface HeapRestParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly heap: Heap;
  /** Grows with everything that is done; undefined while the node is in no mesh, as where it begins anew. */
  readonly workDone: () => number | undefined;
  /** Whether others of the group wait for the beats of this node. */
  readonly isLeadingOthers: () => boolean;
}

const LOOK_EVERY_MS = 2_000;
/** Looks in a row with nothing done between them, after the start and later: who has just worked may have to work again. */
const IDLE_LOOKS_AT_START = 2;
const IDLE_LOOKS = 15;
/** What the group agrees to while a node joins it is no work of anybody's. */
const LITTLE_AT_START = 20;
/** By how much it has grown since before it is worth a stop. */
const GROWTH = 1.5;

/** The stop grows with the heap: 0.1 to 0.2 s for what a start leaves, on a machine of 2026. A larger heap is left to the engine. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Makes the heap small when there is nothing to do. The engine lets it grow to what a start or a burst of work needs, and gives that back when
 * enough was allocated after it: an agent that has nothing to do allocates so little that this takes hours. Not so one that leads
 * others: it allocates more, and on a slow machine the stop would come near to what they bear without a word of it.
 */
export function restHeap({ clock, log, heap, workDone, isLeadingOthers }: HeapRestParts): Disposable {
  let doneBefore = Number.NaN;
  let idleLooks = 0;
  let leastBytes = 0;
  return every(clock, LOOK_EVERY_MS, () => {
    const done = workDone() ?? Number.NaN;
    const isStart = leastBytes === 0;
    idleLooks = done - doneBefore <= (isStart ? LITTLE_AT_START : 0) ? idleLooks + 1 : 0;
    doneBefore = done;
    const totalBytes = heap.totalBytes();
    const isIdle = idleLooks >= (isStart ? IDLE_LOOKS_AT_START : IDLE_LOOKS);
    if (!isIdle || isLeadingOthers()) return;
    if (totalBytes > MOST_BYTES || totalBytes < leastBytes * GROWTH) return;
    const startedMs = clock.monotonicMs();
    heap.compact();
    leastBytes = heap.totalBytes();
    const tookMs = Math.round(clock.monotonicMs() - startedMs);
    log.debug({ fromBytes: totalBytes, toBytes: leastBytes, tookMs }, 'gave back memory');
  });
}
