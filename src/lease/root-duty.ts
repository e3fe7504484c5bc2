import type { PeerId } from '../base/index.ts';
import type { Member, RootState } from './machine/index.ts';
import type { Configuration } from './raft/index.ts';

export interface RootDutyInput {
  readonly root: RootState;
  readonly configuration: Configuration;
  readonly members: readonly Member[];
}

/** What the leader has to do about the mesh's root key now. */
export type RootDuty =
  | { readonly duty: 'none' }
  /** Not yet, and why; it is looked at again. */
  | { readonly duty: 'wait'; readonly reason: string }
  | {
      readonly duty: 'replace';
      /** Who is given the new key. */
      readonly keepers: readonly Member[];
      /** The voters, and a standby where their number is even: the witnesses for the next root key. */
      readonly voters: readonly PeerId[];
      /** Whose word for it is passed on. */
      readonly vouchers: readonly PeerId[];
    };

/**
 * When the root key is replaced, and for whom. Pure: the agreed state alone decides, so that whoever leads next goes on where the last one
 * ended.
 *
 * - Y1 Nothing is done before every revoked keeper is out of the configuration, old and new: it must not vote on its own successor.
 * - Y4 An odd number of members in good standing is named as voters, with a standby where need be: they are the witnesses for the next key, and of two
 *   none could be revoked without leaving less than a majority.
 * - Y2 The new key is for voters and standbys that are members in good standing with the right to vote, and for nobody else.
 */
export function rootDuty(
  { root, configuration, members }: RootDutyInput,
  { votersLimit, vouchersLimit }: { readonly votersLimit: number; readonly vouchersLimit: number },
): RootDuty {
  if (root.due.length === 0) return { duty: 'none' };
  const { voters, outgoing, learners } = configuration;
  const present = root.due.filter((peer) => [...voters, ...outgoing, ...learners].includes(peer));
  if (present.length > 0) return { duty: 'wait', reason: `${present.join(' ')} must leave the group first` }; // Y1
  if (outgoing.length > 0) return { duty: 'wait', reason: 'the configuration is about to change' };
  const fit = members.filter(({ role, revokedAtMs }) => role === 'voter' && revokedAtMs === null); // Y2
  const byPeer = new Map(fit.map((member) => [member.peerId, member]));
  const inGroup = [...voters, ...learners];
  const others = fit
    .filter(({ peerId }) => !inGroup.includes(peerId))
    .sort((left, right) => left.admittedAtMs - right.admittedAtMs || (left.peerId < right.peerId ? -1 : 1));
  const vouchers = [...inGroup, ...others.map(({ peerId }) => peerId)].filter((peer) => byPeer.has(peer));
  return {
    duty: 'replace',
    keepers: inGroup.flatMap((peer) => byPeer.get(peer) ?? []),
    voters: oddly(
      voters.filter((peer) => byPeer.has(peer)),
      learners.filter((peer) => byPeer.has(peer)),
    ).slice(0, votersLimit),
    vouchers: vouchers.slice(0, vouchersLimit),
  };
}

/** Y4 */
function oddly(voters: readonly PeerId[], standbys: readonly PeerId[]): readonly PeerId[] {
  return voters.length % 2 === 1 ? voters : [...voters, ...standbys.slice(0, 1)];
}
