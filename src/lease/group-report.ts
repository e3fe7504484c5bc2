import type { LogIndex, PeerId, Term } from '../base/index.ts';
import type { GroupRole } from './group.ts';
import type { MemberObservation } from './member-observation.ts';
import type { RaftState } from './raft/index.ts';
import type { RolesOptions } from './roles.ts';
import { countDisks } from './second-disk.ts';

/** One member of the mesh and its part in the group, as the leader sees it. */
export interface ReportedMember {
  readonly peerId: PeerId;
  readonly role: GroupRole;
  readonly isLeader: boolean;
  /** Why it has this role. */
  readonly reason: string;
  /** How far its disk holds the leader's log; null where it does not receive it, or nobody can tell. */
  readonly matchIndex: LogIndex | null;
  /** Entries it still lacks; null likewise. */
  readonly lag: number | null;
  /** Since it was last connected to the leader: 0 while it is. Unit: ms. Null where nobody can tell. */
  readonly lastContactMs: number | null;
}

export interface GroupHealthLine {
  readonly level: 'ok' | 'warning' | 'error';
  readonly text: string;
  /** The command that mends it. */
  readonly mend?: string;
}

export interface GroupReport {
  readonly leader: PeerId | null;
  readonly hasQuorum: boolean;
  readonly term: Term;
  readonly epoch: number;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  /** Disks that hold everything that was acknowledged, the leader's included; null without a leader. */
  readonly diskCount: number | null;
  readonly members: readonly ReportedMember[];
  readonly health: readonly GroupHealthLine[];
}

export interface ReportInput {
  readonly self: PeerId;
  readonly state: RaftState;
  readonly epoch: number;
  readonly members: readonly MemberObservation[];
  readonly options: RolesOptions;
  /** Why the store of a member does not count at present. @default none */
  readonly lostStores?: ReadonlyMap<PeerId, string>;
}

/** Pure: what the leader tells of its group. */
export function reportGroup(input: ReportInput): GroupReport {
  const { self, state, epoch } = input;
  const members = input.members.map((member) => memberOf(input, member));
  const diskCount = countDisks(state);
  const report = {
    leader: self,
    hasQuorum: state.hasQuorum,
    term: state.term,
    epoch,
    lastIndex: state.lastIndex,
    commitIndex: state.commitIndex,
    diskCount,
    members,
  };
  return { ...report, health: healthOf(report, input) };
}

function memberOf(
  { self, state, options, lostStores }: ReportInput,
  member: MemberObservation,
): ReportedMember {
  const { peerId } = member;
  const { voters, outgoing, learners } = state.configuration;
  const isVoter = voters.includes(peerId) || outgoing.includes(peerId);
  const role = isVoter ? 'voter' : learners.includes(peerId) ? 'standby' : 'spare';
  const known = state.progress.get(peerId);
  const matchIndex = peerId === self ? state.lastIndex : (known?.matchIndex ?? null);
  return {
    peerId,
    role,
    isLeader: peerId === self,
    reason: reasonOf(role, member, { isLeader: peerId === self, options, loss: lostStores?.get(peerId) }),
    matchIndex,
    lag: matchIndex === null ? null : Math.max(0, state.lastIndex - matchIndex),
    lastContactMs: member.isConnected ? 0 : Math.round(member.stateForMs),
  };
}

function reasonOf(
  role: GroupRole,
  member: MemberObservation,
  {
    isLeader,
    loss,
    options: { graceMs = 30_000, settleMs = 1_000 },
  }: { isLeader: boolean; loss: string | undefined; options: RolesOptions },
): string {
  if (loss !== undefined) return `comes back as a learner: ${loss.replace(/^is|^ends|^has/, 'its store $&')}`;
  if (!member.isEligible) return 'its role in the mesh does not let it vote';
  if (isLeader) return 'leads the group';
  const traits = [
    member.zone === null ? 'no zone label' : `zone ${member.zone}`,
    member.isOnBattery === true ? 'on battery' : undefined,
    member.isPublic === true ? 'publicly reachable' : undefined,
  ].filter((trait) => trait !== undefined);
  if (!member.isConnected) {
    if (role === 'spare') return 'not connected';
    return member.stateForMs < graceMs
      ? `away, keeps its place for ${graceMs} ms`
      : 'away too long, kept until somebody can take its place';
  }
  if (role === 'voter') return `chosen to vote (${traits.join(', ')})`;
  if (role === 'standby') return `holds the data and replaces a voter that is lost (${traits.join(', ')})`;
  return member.stateForMs < settleMs ? 'came just now' : `all places are taken (${traits.join(', ')})`;
}

function healthOf(
  report: Omit<GroupReport, 'health'>,
  { members, options: { voters: wanted = 3 } }: ReportInput,
): GroupHealthLine[] {
  const lines: GroupHealthLine[] = [];
  const voters = report.members.filter(({ role }) => role === 'voter');
  const away = voters.filter(({ lastContactMs }) => (lastContactMs ?? 0) > 0);
  for (const { peerId } of away) {
    lines.push({
      level: 'warning',
      text: `voter ${peerId} is away; a standby takes its place after the grace period`,
      mend: `start it again, or, when it is gone for good: aspen-agent node revoke ${peerId}`,
    });
  }
  const eligible = members.filter(({ isEligible }) => isEligible).length;
  if (voters.length === 1 && wanted > 1) {
    lines.push({
      level: 'warning',
      text: `one voter only: the group stands still while it is away (${eligible} of ${wanted} members may vote)`,
      mend: 'aspen-agent ticket create --role voter, and join with it on another machine',
    });
  }
  if (report.diskCount === 1) {
    lines.push({
      level: 'warning',
      text: 'one disk holds what is agreed: losing it loses everything',
      mend: 'aspen-agent ticket create --role voter, and join with it on another machine',
    });
  }
  if (lines.length === 0) lines.push({ level: 'ok', text: `${voters.length} voters, all in contact` });
  return lines;
}

const FULL_DISK: GroupHealthLine & { readonly mend: string } = {
  level: 'error',
  text: 'the disk of this node is full: it stands aside until there is room',
  mend: 'make room on the disk of its data directory; it goes on by itself',
};
const MISSING_VOTERS = 'start the missing voters; when they are gone for good: aspen-agent group recover';

/** What a node without a leader can tell from its own replica, or from what others said. */
export function reportWithoutLeader(
  status: {
    readonly term: Term;
    readonly commitIndex: LogIndex;
    readonly voters: readonly PeerId[];
    readonly standbys: readonly PeerId[];
  },
  {
    epoch,
    members,
    isDiskFull = false,
  }: {
    readonly epoch: number;
    readonly members: readonly MemberObservation[];
    /** This node would lead, or vote, if its disk had room. */
    readonly isDiskFull?: boolean;
  },
): GroupReport {
  const seen = new Map(members.map((member) => [member.peerId, member]));
  const peers = new Set([...status.voters, ...status.standbys, ...seen.keys()]);
  return {
    leader: null,
    hasQuorum: false,
    term: status.term,
    epoch,
    lastIndex: status.commitIndex,
    commitIndex: status.commitIndex,
    diskCount: null,
    members: [...peers].map((peerId) => {
      const member = seen.get(peerId);
      const role = status.voters.includes(peerId)
        ? 'voter'
        : status.standbys.includes(peerId)
          ? 'standby'
          : 'spare';
      return {
        peerId,
        role,
        isLeader: false,
        reason: member?.isConnected === true ? 'connected, but nobody leads' : 'not connected to this node',
        matchIndex: null,
        lag: null,
        lastContactMs: member === undefined ? null : member.isConnected ? 0 : Math.round(member.stateForMs),
      };
    }),
    health: [
      ...(isDiskFull ? [FULL_DISK] : []),
      {
        level: 'error',
        text: 'no quorum: nobody leads, what is agreed can neither change nor be read',
        mend: isDiskFull && status.voters.length === 1 ? FULL_DISK.mend : MISSING_VOTERS,
      },
    ],
  };
}
