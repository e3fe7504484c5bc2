import type { PeerId } from '../base/index.ts';
import type { MemberObservation } from './member-observation.ts';

/** How well a member would do as a voter: higher is better, the first difference counts. */
export type Fitness = readonly [newZone: number, mains: number, reachable: number];

/** @param zonesTaken failure domains that hold a voter already. */
export function fitnessOf(
  member: MemberObservation | undefined,
  zonesTaken: ReadonlySet<string | null>,
): Fitness {
  const zone = member?.zone ?? null;
  return [
    Number(zone !== null && !zonesTaken.has(zone)),
    Number(member?.isOnBattery !== true),
    Number(member?.isPublic === true),
  ];
}

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;

/** Whole hours, so that a moment decides nothing. */
function stableHours(member: MemberObservation | undefined): number {
  return Math.min(DAY_HOURS, Math.floor((member?.upForMs ?? 0) / HOUR_MS));
}

/** @returns below 0 when `left` is the better one. */
export function compareFitness(left: Fitness, right: Fitness): number {
  for (const at of [0, 1, 2] as const) {
    if (left[at] !== right[at]) return right[at] - left[at];
  }
  return 0;
}

/**
 * Orders candidates: a failure domain that has no voter yet, then mains power, then a public address, then stability (hours it has run
 * without a restart, up to a day; then fewer starts in its life), then whoever has been connected longest without a break; the id decides
 * last, so that every node finds the same order. Stability orders candidates only: nobody loses a vote by it (O7).
 */
export function byPreference(
  peers: readonly PeerId[],
  members: ReadonlyMap<PeerId, MemberObservation>,
  zonesTaken: ReadonlySet<string | null>,
): PeerId[] {
  return [...peers].sort((left, right) => {
    const [first, second] = [members.get(left), members.get(right)];
    return (
      compareFitness(fitnessOf(first, zonesTaken), fitnessOf(second, zonesTaken)) ||
      stableHours(second) - stableHours(first) ||
      (first?.startCount ?? 0) - (second?.startCount ?? 0) ||
      (second?.stateForMs ?? 0) - (first?.stateForMs ?? 0) ||
      (left < right ? -1 : 1)
    );
  });
}
