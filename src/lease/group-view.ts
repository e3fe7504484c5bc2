import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { LeaderClient } from './client.ts';
import type { GroupStatus } from './group.ts';
import { type GroupReport, reportGroup, reportWithoutLeader } from './group-report.ts';
import type { LeaderFinder } from './leader-finder.ts';
import { listMembers } from './machine/index.ts';
import type { MemberObservation, PeerTraits } from './member-observation.ts';
import type { ConnectionWatch } from './observe-members.ts';
import { onceApplied } from './once-applied.ts';
import type { Replica } from './replica/index.ts';
import type { RolesOptions } from './roles.ts';
import { countDisks } from './second-disk.ts';

export interface GroupViewComponents {
  readonly self: PeerId;
  readonly log: Logger;
  readonly replica: Replica;
  readonly client: LeaderClient;
  readonly finder: LeaderFinder;
  readonly watch: ConnectionWatch;
  /** What a peer told of itself that matters for a vote. */
  readonly traitsOf: (peerId: PeerId) => PeerTraits;
  /** Replaces what is seen of the members. */
  readonly observe: (() => readonly MemberObservation[]) | undefined;
}

const REPORT_TIMEOUT_MS = 3_000;
const DISKS_TIMEOUT_MS = 500;

/** What this node knows of the group: by its own replica, else as the leader or members told. */
export class GroupView {
  readonly #components: GroupViewComponents;
  readonly #roles: RolesOptions;
  readonly #agreedMembers = onceApplied((members) => listMembers(members));

  constructor(components: GroupViewComponents, roles: RolesOptions) {
    this.#components = components;
    this.#roles = roles;
  }

  /** As this replica sees it, or, where it is not part of the group, as members told. */
  status(): GroupStatus {
    const own = this.#components.replica.status();
    const hint = this.#components.finder.hint;
    if (own.role !== 'spare' || hint === undefined) return own;
    const { leader, term, commitIndex, voters, standbys } = hint;
    return { ...own, leader, term, commitIndex, voters, standbys, hasQuorum: leader !== null };
  }

  /** How many disks hold all that was acknowledged, as the leader tells it; null where nobody leads or answers in time. */
  async disks(): Promise<number | null> {
    const { replica, client } = this.#components;
    const { leader, hasQuorum } = this.status();
    if (leader === null || !hasQuorum) return null;
    if (replica.leading !== undefined) return countDisks(replica.raftState);
    try {
      const options = { timeoutMs: DISKS_TIMEOUT_MS };
      return (await client.askLeader<GroupReport>('group/report', null, options)).diskCount;
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      return null;
    }
  }

  /** Members with role, reason, progress and health, as the leader tells it; as this node can where nobody leads. */
  async report(): Promise<GroupReport> {
    const { client, log, replica } = this.#components;
    try {
      return await client.askLeader<GroupReport>('group/report', null, { timeoutMs: REPORT_TIMEOUT_MS });
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      log.debug({ err }, 'nobody leads who could report');
      const { epoch, isDiskFull } = replica;
      return reportWithoutLeader(this.status(), { epoch, isDiskFull, members: this.members() });
    }
  }

  /**
   * The same as the leader itself tells it.
   * @param lostStores why the store of a member does not count at present.
   */
  reportAsLeader(lostStores: ReadonlyMap<PeerId, string>): GroupReport {
    const { self, replica } = this.#components;
    const members = this.members();
    return reportGroup({
      self,
      state: replica.raftState,
      epoch: replica.epoch,
      members,
      options: this.#roles,
      lostStores,
    });
  }

  /** The agreed members, with what is seen of them from here. */
  members(): readonly MemberObservation[] {
    const { observe, watch, replica, traitsOf } = this.#components;
    if (observe !== undefined) return observe();
    return watch.observe(this.#agreedMembers(replica.read('members')), traitsOf);
  }
}
