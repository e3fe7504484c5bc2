import { type Coordinate, estimateRttMs, type Random, randomFloat } from '../base/index.ts';

export interface Measurement {
  /** Where the other node says it stands. */
  readonly remote: Coordinate;
  /** A measured round trip to it. Unit: ms. */
  readonly rttMs: number;
}

/** How far one measurement moves a node, and its error estimate (the paper's c_c and c_e). */
const STEP = 0.25;
const MOST_ERROR = 1.5;
const LEAST_HEIGHT_MS = 0.01;
/** Round trips and coordinates beyond this are not of this planet. Unit: ms. */
export const COORDINATE_LIMIT_MS = 60_000;

export const ORIGIN: Coordinate = { xMs: 0, yMs: 0, heightMs: 1, error: MOST_ERROR };

/**
 * Moves a node so that the distance to another comes closer to the round trip measured between them: as if a spring were between the two. A node
 * that is sure of its place moves less, and one that is not is believed less.
 * Source: Dabek, Cox, Kaashoek, Morris, "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM 2004, figure 3, with heights (5.4).
 * @param random picks a direction for nodes at one point.
 */
export function moved(own: Coordinate, { remote, rttMs }: Measurement, random: Random): Coordinate {
  if (!(rttMs > 0) || rttMs > COORDINATE_LIMIT_MS) return own;
  const distanceMs = estimateRttMs(own, remote);
  const weight = own.error / (own.error + Math.max(remote.error, 1e-6));
  const relativeError = Math.abs(distanceMs - rttMs) / rttMs;
  const error = relativeError * STEP * weight + own.error * (1 - STEP * weight);
  const forceMs = STEP * weight * (rttMs - distanceMs);
  const [xPart, yPart] = direction(own, remote, random);
  const heightPart = (own.heightMs + remote.heightMs) / Math.max(distanceMs, LEAST_HEIGHT_MS);
  return {
    xMs: clamped(own.xMs + xPart * forceMs),
    yMs: clamped(own.yMs + yPart * forceMs),
    heightMs: Math.max(LEAST_HEIGHT_MS, clamped(own.heightMs + heightPart * forceMs)),
    error: Math.min(MOST_ERROR, Math.max(0.001, error)),
  };
}

/** @returns whether foreign numbers are a coordinate. */
export function isCoordinate(value: Readonly<Record<keyof Coordinate, unknown>>): value is Coordinate {
  const { xMs, yMs, heightMs, error } = value;
  if (![xMs, yMs, heightMs, error].every((part) => typeof part === 'number' && Number.isFinite(part)))
    return false;
  const [x, y, height, share] = [xMs, yMs, heightMs, error] as [number, number, number, number];
  const isNear = Math.abs(x) <= COORDINATE_LIMIT_MS && Math.abs(y) <= COORDINATE_LIMIT_MS;
  return isNear && height > 0 && height <= COORDINATE_LIMIT_MS && share > 0 && share <= MOST_ERROR;
}

/** The unit vector from the other node to this one, in the plane, as a share of the whole distance (heights included). */
function direction(own: Coordinate, remote: Coordinate, random: Random): [number, number] {
  const [x, y] = [own.xMs - remote.xMs, own.yMs - remote.yMs];
  const distanceMs = estimateRttMs(own, remote);
  if (Math.hypot(x, y) > 1e-6) return [x / distanceMs, y / distanceMs];
  const angle = randomFloat(random) * 2 * Math.PI;
  return [Math.cos(angle), Math.sin(angle)];
}

function clamped(ms: number): number {
  return Math.min(COORDINATE_LIMIT_MS, Math.max(-COORDINATE_LIMIT_MS, ms));
}
