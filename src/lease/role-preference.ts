import type { PeerId } from '../base/index.ts';
import type { MemberObservation } from './roles.ts';

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

/** @returns below 0 when `left` is the better one. */
export function compareFitness(left: Fitness, right: Fitness): number {
  for (const at of [0, 1, 2] as const) {
    if (left[at] !== right[at]) return right[at] - left[at];
  }
  return 0;
}

/**
 * Orders candidates: a failure domain that has no voter yet, then mains power, then a public address, then whoever has been connected
 * longest without a break; the id decides last, so that every node finds the same order.
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
      (second?.stateForMs ?? 0) - (first?.stateForMs ?? 0) ||
      (left < right ? -1 : 1)
    );
  });
}
