/**
 * Where a node stands in the space of round trips: a point in a plane, and a height above it for the access link that every path of
 * the node goes through. Distances are milliseconds.
 */
export interface Coordinate {
  readonly xMs: number;
  readonly yMs: number;
  /** Above 0. */
  readonly heightMs: number;
  /** How far estimates from here are off, as a share of the round trip: 1 knows nothing, 0.1 is good. */
  readonly error: number;
}

/** @returns the round trip that two coordinates promise, in ms. */
export function estimateRttMs(from: Coordinate, to: Coordinate): number {
  return Math.hypot(from.xMs - to.xMs, from.yMs - to.yMs) + from.heightMs + to.heightMs;
}
