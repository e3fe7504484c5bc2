/** What a node sees of its machine at one moment. */
export interface MachineLook {
  readonly monotonicMs: number;
  readonly wallMs: number;
  /** Another text when addresses or default routes of the machine are others; empty where nobody can tell. */
  readonly networkMark: string;
}

/** Why all that is known about paths may be out of date. */
export type Upheaval =
  /** The process stood still, or the machine slept. */
  { readonly type: 'woke'; readonly stoodStillMs: number } | { readonly type: 'network' };

/** Peers give a silent link up after 5 s: whoever stood still for about as long believes in none of its own. Unit: ms. */
export const STOOD_STILL_MS = 3_000;

/**
 * Compares two looks that should be `everyMs` apart.
 *
 * - Z6 A process that was stopped shows a gap on both clocks, a machine that slept one on the wall clock alone; either is seen at the first
 *   look after it. A wall clock that was set forward looks like a sleep, and costs a question to each peer. One that was set back is no sleep.
 */
export function judgeLooks(before: MachineLook, now: MachineLook, everyMs: number): Upheaval | undefined {
  const gapMs = Math.max(now.monotonicMs - before.monotonicMs, now.wallMs - before.wallMs);
  const stoodStillMs = Math.round(gapMs - everyMs);
  if (stoodStillMs >= STOOD_STILL_MS) return { type: 'woke', stoodStillMs };
  return before.networkMark === now.networkMark ? undefined : { type: 'network' };
}
