import type { PeerId } from '../../base/brand.ts';
import type { Configuration } from './types.ts';

/** @returns how many of `count` voters are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * Highest value that a majority of `voters` has reached.
 * @returns 0 without voters: nobody can agree on anything.
 * Source: Raft paper, section 5.3.
 */
export function majorityValue(voters: readonly PeerId[], reachedBy: (peer: PeerId) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(reachedBy).sort((a, b) => b - a);
  return values[majorityOf(voters.length) - 1] as number;
}

/** Highest value that every majority the configuration asks for has reached: both while it is joint (paper, section 6). */
export function agreedValue(configuration: Configuration, reachedBy: (peer: PeerId) => number): number {
  const incoming = majorityValue(configuration.voters, reachedBy);
  if (configuration.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityValue(configuration.outgoing, reachedBy));
}

/** @returns whether the peers for which `isIn` holds are a quorum of the configuration. */
export function isQuorum(configuration: Configuration, isIn: (peer: PeerId) => boolean): boolean {
  return agreedValue(configuration, (peer) => (isIn(peer) ? 1 : 0)) === 1;
}

export type VoteOutcome = 'won' | 'lost' | 'pending';

/** @param votes true granted, false refused, undefined not answered yet. */
export function voteOutcome(
  configuration: Configuration,
  voteOf: (peer: PeerId) => boolean | undefined,
): VoteOutcome {
  if (isQuorum(configuration, (peer) => voteOf(peer) === true)) return 'won';
  return isQuorum(configuration, (peer) => voteOf(peer) !== false) ? 'pending' : 'lost';
}
