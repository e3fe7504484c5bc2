/** Machine versions from which on jobs go by other rules (lease A5): what stands in the log from before is applied as it was then. */
export const SINCE = {
  /** Losses are bounded by the job, pause, and end it with a reason. */
  maxLosses: 2,
  /** The history says of an attempt that was stopped what it was stopped for. */
  toldEndings: 2,
  /** A purge goes on behind what may not go. */
  purgeCursor: 2,
  /** Assignments name their places once a command. */
  packedAssign: 3,
} as const;
