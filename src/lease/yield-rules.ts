import type { PeerId } from '../base/index.ts';
import type { MemberObservation } from './member-observation.ts';
import type { ConfigurationChange, RaftState } from './raft/index.ts';

export interface YieldInput {
  /** The leader, which is to be let go or was. */
  readonly self: PeerId;
  readonly state: Pick<RaftState, 'configuration' | 'progress'>;
  /** Members in good standing, as the leader sees them. */
  readonly members: readonly MemberObservation[];
  /** Those of them to whom the present root key is sealed. */
  readonly keepers: ReadonlySet<PeerId>;
  /** Learners and voters whose log is close to the leader's. */
  readonly caughtUp: ReadonlySet<PeerId>;
}

/** How a leader makes way. */
export type Yield =
  | { readonly move: 'transfer'; readonly to: PeerId }
  /** Nobody else that could lead has a vote: the change gives it one in place of the leader. */
  | { readonly move: 'give-vote'; readonly to: PeerId; readonly change: ConfigurationChange }
  /** `isHopeless`: nobody is in contact who ever could. */
  | { readonly move: 'wait'; readonly isHopeless: boolean };

/**
 * Who goes on when the leader goes. Pure: the same view of the group gives the same answer.
 *
 * - K1 A leader does not let go of itself: another one leads first, and lets it go. So whoever proposes that somebody goes stays, with a vote and the root key.
 * - K2 It makes way for a member in good standing that has the root key, or can still be given it by this leader: for a voter in contact, else for a
 *   standby that has caught up, which gets the leader's vote.
 * - K3 A leader that was let go all the same, by what a leader before it had proposed, does nothing but make way.
 */
export function howToYield({ self, state, members, keepers, caughtUp }: YieldInput): Yield {
  const { configuration, progress } = state;
  const isFit = (peer: PeerId) =>
    members.some(({ peerId, isEligible }) => peerId === peer && isEligible) &&
    (keepers.has(peer) || keepers.has(self)); // K2
  const isInContact = (peer: PeerId) => peer !== self && progress.get(peer)?.isRecentlyActive === true;
  const ready = (peers: readonly PeerId[]) =>
    peers
      .filter((peer) => isInContact(peer) && isFit(peer))
      .sort((left, right) => matchOf(progress, right) - matchOf(progress, left) || (left < right ? -1 : 1));
  const [voter] = ready(configuration.voters);
  if (voter !== undefined) return { move: 'transfer', to: voter };
  const standby = ready(configuration.learners).find((peer) => caughtUp.has(peer));
  if (standby === undefined || configuration.outgoing.length > 0) {
    const isHopeless = !members.some(
      ({ peerId, isConnected }) => peerId !== self && isConnected && isFit(peerId),
    );
    return { move: 'wait', isHopeless };
  }
  const isMember = members.some(({ peerId }) => peerId === self);
  const change = { promote: [standby], ...(isMember ? { demote: [self] } : { remove: [self] }) };
  return { move: 'give-vote', to: standby, change };
}

/** Most peers that are named to people. */
const NAMED_LIMIT = 5;

/**
 * What helps a leader that is to go and finds nobody to go on: those that may vote are started, or there have to be some. Where nobody else is there
 * at all, all of them may be gone for good, and revoking them leaves this node alone: who is alone leaves at once. There is no leaving by force.
 * @param members as in {@link YieldInput}, none of them fit and in contact.
 */
export function wayOutOfStaying(self: PeerId, members: readonly MemberObservation[]): string {
  const others = members.filter(({ peerId }) => peerId !== self);
  const absent = others.filter(({ isConnected }) => !isConnected);
  const mayVote = absent.filter(({ isEligible }) => isEligible);
  const start =
    mayVote.length > 0
      ? `start the agent of ${namesOf(mayVote, 'or')} (aspen-agent up, there), and leave again once it is in contact`
      : 'let another voter join first (aspen-agent ticket create --role voter), and leave again then';
  if (absent.length === 0 || absent.length < others.length) return start;
  const each = absent.length === 1 ? 'it is' : 'they are';
  return `${start}; if ${each} gone for good: aspen-agent node revoke ${namesOf(absent, 'and')}, then leave, which ends the mesh`;
}

function namesOf(members: readonly MemberObservation[], joint: 'or' | 'and'): string {
  const named = members.slice(0, NAMED_LIMIT).map(({ peerId }) => peerId);
  const more = members.length - named.length;
  const all = more > 0 ? [...named, `${more} more`] : named;
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${joint} ${all.at(-1)}`;
}

function matchOf(progress: RaftState['progress'], peer: PeerId): number {
  return progress.get(peer)?.matchIndex ?? 0;
}
