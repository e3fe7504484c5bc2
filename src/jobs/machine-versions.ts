/** Machine versions from which on jobs go by other rules (lease A5): what stands in the log from before is applied as it was then. */
export const SINCE = {
  /** Losses are bounded by the job, pause, and end it with a reason. */
  maxLosses: 2,
} as const;
