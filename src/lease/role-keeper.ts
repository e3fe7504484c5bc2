import { AspenError, type Clock, every, type Logger, type PeerId } from '../base/index.ts';
import type { Leadership } from './group.ts';
import type { MemberObservation } from './member-observation.ts';
import type { ConfigurationChange, RaftState } from './raft/index.ts';
import type { Replica } from './replica/index.ts';
import { decideRoles, type RolesOptions } from './roles.ts';
import type { RootCustody } from './root-custody.ts';
import { howToYield } from './yield-rules.ts';

export interface RoleKeeperComponents {
  readonly self: PeerId;
  readonly replica: Replica;
  readonly custody: RootCustody;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observe: () => readonly MemberObservation[];
  /** Members whose disk was lost: each is taken out before it may come back. */
  readonly forgetful: () => ReadonlySet<PeerId>;
}

const LOOK_EVERY_MS = 1_000;
/** A learner this close to the leader's end of the log may vote. Unit: entries. */
const CAUGHT_UP_ENTRIES = 1_000;

/** Looks after the group's configuration while this node leads. Errors are told and tried again at the next look. */
export function keepRoles(
  leadership: Leadership,
  components: RoleKeeperComponents,
  options: RolesOptions,
): Disposable {
  const { clock, log } = components;
  let isLooking = false;
  return every(clock, LOOK_EVERY_MS, () => {
    if (isLooking || leadership.signal.aborted) return;
    isLooking = true;
    look(leadership, components, options)
      .catch((err: unknown) => log.debug({ err }, 'roles not changed, will try again'))
      .finally(() => {
        isLooking = false;
      });
  });
}

async function look(
  leadership: Leadership,
  components: RoleKeeperComponents,
  options: RolesOptions,
): Promise<void> {
  const { self, replica, custody, log, observe } = components;
  const members = observe();
  if (members.length === 0) return;
  const state = replica.raftState;
  if (!members.some(({ peerId, isEligible }) => peerId === self && isEligible)) {
    makeWay(leadership, components, { members, state });
    return;
  }
  const change = nextChange(components, options);
  if (change === null) return;
  await custody.entrust(leadership, [...(change.addLearners ?? []), ...(change.promote ?? [])]);
  // Meanwhile the members may have become others: then it is decided anew, at the next look.
  if (leadership.signal.aborted || !isSameChange(change, nextChange(components, options))) return;
  const proposed = replica.proposeConfiguration(change);
  if ('refused' in proposed) throw new AspenError('UNAVAILABLE', `roles: ${proposed.refused}`);
  log.info({ change }, 'changes who votes and stands by');
}

/** @returns null when nothing is to be done now. */
function nextChange(
  { self, replica, observe, forgetful: waiting }: RoleKeeperComponents,
  options: RolesOptions,
): ConfigurationChange | null {
  const state = replica.raftState;
  const forgetful = waiting();
  // Not to be taken in before it has heard that it was out, and not to be given up either.
  const members = observe().map((member) =>
    forgetful.has(member.peerId) ? { ...member, isConnected: false, stateForMs: 0 } : member,
  );
  const input = { self, members, configuration: state.configuration, caughtUp: caughtUpPeers(state) };
  return removalOf(forgetful, state, self) ?? decideRoles(input, options);
}

function isSameChange(left: ConfigurationChange, right: ConfigurationChange | null): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** @returns undefined when none of them is counted on, or another change is under way. */
function removalOf(
  forgetful: ReadonlySet<PeerId>,
  { configuration: { voters, outgoing, learners } }: RaftState,
  self: PeerId,
): ConfigurationChange | undefined {
  if (outgoing.length > 0) return undefined;
  const remove = [...voters, ...learners].filter((peer) => peer !== self && forgetful.has(peer));
  return remove.length === 0 ? undefined : { remove };
}

/** @returns learners and voters whose log is close to the leader's. */
export function caughtUpPeers({ progress, lastIndex }: RaftState): ReadonlySet<PeerId> {
  const close = [...progress].filter(
    ([, { mode, matchIndex, isRecentlyActive }]) =>
      mode === 'replicate' && isRecentlyActive && lastIndex - matchIndex <= CAUGHT_UP_ENTRIES,
  );
  return new Set(close.map(([peer]) => peer));
}

/** K3: it has no root key any more to give to anybody. */
function makeWay(
  leadership: Leadership,
  { self, replica, custody, log }: RoleKeeperComponents,
  { members, state }: { readonly members: readonly MemberObservation[]; readonly state: RaftState },
): void {
  const keepers = custody.keepers(
    leadership,
    members.map(({ peerId }) => peerId),
  );
  const next = howToYield({ self, state, members, keepers, caughtUp: caughtUpPeers(state) });
  if (next.move === 'transfer') replica.transferLeadership(next.to);
  if (next.move === 'give-vote') {
    const proposed = replica.proposeConfiguration(next.change);
    if ('refused' in proposed) throw new AspenError('UNAVAILABLE', `roles: ${proposed.refused}`);
  }
  if (next.move === 'wait') log.debug({ next }, 'this node was let go, and nobody can take over yet');
  else log.info({ next }, 'this node was let go and makes way for another leader');
}
