import type { PeerId } from '../../base/brand.ts';
import { AspenError } from '../../base/errors.ts';
import type { Configuration } from './types.ts';

/** What should change; a peer may be named once only. */
export interface ConfigurationChange {
  /** Peers that shall receive the log without a vote; no effect on a voter. */
  readonly addLearners?: readonly PeerId[];
  /** Peers that shall vote. Promote only learners that have caught up: a new voter without the log holds up commits. */
  readonly promote?: readonly PeerId[];
  /** Voters that shall become learners; no effect on others. */
  readonly demote?: readonly PeerId[];
  readonly remove?: readonly PeerId[];
}

export const EMPTY_CONFIGURATION: Configuration = Object.freeze({
  voters: Object.freeze([]),
  outgoing: Object.freeze([]),
  learners: Object.freeze([]),
});

/** @returns whether both majorities are needed. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** @returns whether `peer` has a vote, in either half. */
export function isVoter(configuration: Configuration, peer: PeerId): boolean {
  return configuration.voters.includes(peer) || configuration.outgoing.includes(peer);
}

/** @returns everybody who receives the log, each once, sorted so that every node walks them in the same order. */
export function membersOf(configuration: Configuration): PeerId[] {
  return sorted(new Set([...configuration.voters, ...configuration.outgoing, ...configuration.learners]));
}

/**
 * The configuration to append for `change`: simple when at most one vote changes (any two majorities then share a
 * voter), joint otherwise. A demoted voter of a joint configuration is a learner already and votes in `outgoing` only.
 * @returns undefined when nothing would change.
 * @throws AspenError INVALID_PARAMS when a peer is named twice, CONFLICT when no voter would be left.
 * Source: Raft paper, section 6; dissertation, sections 4.1 to 4.3.
 */
export function changed(current: Configuration, change: ConfigurationChange): Configuration | undefined {
  requireNamedOnce(change);
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  for (const peer of change.addLearners ?? []) if (!voters.has(peer)) learners.add(peer);
  for (const peer of change.promote ?? []) {
    learners.delete(peer);
    voters.add(peer);
  }
  for (const peer of change.demote ?? []) if (voters.delete(peer)) learners.add(peer);
  for (const peer of change.remove ?? []) {
    voters.delete(peer);
    learners.delete(peer);
  }
  if (voters.size === 0) throw new AspenError('CONFLICT', 'the group must keep at least 1 voter, got 0');
  const votesChanged = differences(new Set(current.voters), voters);
  if (votesChanged === 0 && differences(new Set(current.learners), learners) === 0) return undefined;
  const outgoing = votesChanged > 1 ? sorted(new Set(current.voters)) : [];
  return { voters: sorted(voters), outgoing, learners: sorted(learners) };
}

/** The second half of a joint change: the new majority alone decides. */
export function left(joint: Configuration): Configuration {
  return { voters: joint.voters, outgoing: [], learners: joint.learners };
}

function requireNamedOnce(change: ConfigurationChange): void {
  const named = new Set<PeerId>();
  const lists = [change.addLearners, change.promote, change.demote, change.remove];
  for (const peer of lists.flatMap((list) => list ?? [])) {
    if (named.has(peer))
      throw new AspenError('INVALID_PARAMS', `a change must name each peer once, got ${peer} twice`);
    named.add(peer);
  }
}

function differences(before: ReadonlySet<PeerId>, after: ReadonlySet<PeerId>): number {
  return before.symmetricDifference(after).size;
}

function sorted(peers: Iterable<PeerId>): PeerId[] {
  return [...peers].sort((a, b) => (a < b ? -1 : 1));
}
