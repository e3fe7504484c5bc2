import type { Clock, Crypto, Logger, MeshId, PeerId, Random, Startable } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { StorageFault, Store } from '../storage/index.ts';
import type { Superseded } from './epoch.ts';
import type { GroupClient, GroupCounts, GroupStatus, Leadership } from './group.ts';
import type { RecoverOptions } from './group-recovery.ts';
import type { GroupReport } from './group-report.ts';
import type { KvWatcher } from './kv-watcher.ts';
import type { LabelledReads } from './labelled-reads.ts';
import type { Fact, MachineModule } from './machine/index.ts';
import type { MemberObservation, PeerTraits } from './member-observation.ts';
import type { CommitRule } from './raft/index.ts';
import type { RecoveryPlan } from './recovery-rules.ts';
import type { AppliedEvent, ReplicaOptions } from './replica/index.ts';
import type { RolesOptions } from './roles.ts';
import type { SessionHolder } from './session-holder.ts';
import type { SessionKeeper, SessionKeeperOptions } from './session-keeper.ts';

export interface GroupComponents {
  readonly self: PeerId;
  /** Of this data directory. */
  readonly incarnation: string;
  /** Starts of this data directory, the present one included. @default 1 */
  readonly bootCount?: number;
  /** This node's own secret, 32 bytes: opens what was sealed to it. */
  readonly identitySeed: Uint8Array;
  readonly meshId: MeshId;
  readonly crypto: Crypto;
  readonly store: Store;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Beside kv, leases, counters, rate limits, sessions and members, which are always there; one of the same name takes the place of theirs. */
  readonly modules: readonly MachineModule[];
  /** Disk or machine can no longer be trusted: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /**
   * Given when this node's disk was lost: it says nothing to the group until a configuration without it is committed (Q1). Called then,
   * before it takes part again.
   */
  readonly onReadmitted?: () => Promise<void>;
  /** What became of the lost disk; for people. */
  readonly lossReason?: string;
  /** Told once when others remember more of the store than it holds: this group must be stopped. @default as `onFatal` */
  readonly onSetBack?: (fault: StorageFault) => void;
  /** What a peer told of itself that matters for a vote. @default nothing is known */
  readonly traitsOf?: (peerId: PeerId) => PeerTraits;
  /** Whether a peer may take part in the group at all. @default everybody who is connected */
  readonly mayVote?: (peerId: PeerId) => boolean;
  /** Replaces what the leader sees of the members. @default connections and the agreed table */
  readonly observe?: () => readonly MemberObservation[];
  /** For simulations that plant a fault. */
  readonly commitRule?: CommitRule;
  /** For simulations that compare replicas. @default false */
  readonly isHashed?: boolean;
}

export interface GroupOptions {
  /** @default 'main' */
  readonly group?: string;
  readonly roles?: RolesOptions;
  readonly sessions?: SessionKeeperOptions;
  readonly replica?: Omit<ReplicaOptions, 'group'>;
  /** Pause between renewals of this node's session. Unit: ms. @default 1_000 */
  readonly renewEveryMs?: number;
  /** Unit: ms. @default 10_000 */
  readonly callTimeoutMs?: number;
}

/** What a part that acts for the leader gets. */
export type LeadingPart = (
  leadership: Leadership,
  parts: { readonly sessions: SessionKeeper },
) => Disposable | undefined;

/** Each succession of the root key in order, encoded, and the list of the latest. */
export interface AgreedRoots {
  readonly successions: readonly Uint8Array[];
  readonly list: Uint8Array | undefined;
  /** Another root key is due. */
  readonly isDue: boolean;
}

export interface Founding {
  /** The mesh's root key, 32 secret bytes. */
  readonly rootSeed: Uint8Array;
  /** This node's own certificate, encoded. */
  readonly certificate: Uint8Array;
}

/** This node's part in the agreed state of its mesh: the door for whoever composes an agent. */
export interface Group extends Startable {
  readonly client: GroupClient;
  /** Reads that say how fresh they are. */
  readonly reads: LabelledReads;
  /** Watches keys, wherever the replicas are. */
  readonly kvWatcher: KvWatcher;
  /** This node's session with the leader. */
  readonly session: SessionHolder;
  /** This node's leadership, while it leads. */
  readonly leadership: Leadership | undefined;
  /** Whether this node's replica is, or ever was, part of the group. */
  readonly isMember: boolean;
  /** Why the replica no longer applies; null while it does. */
  readonly haltReason: string | null;
  /** Number of the group's life: a recovery begins the next. Revisions and fencing tokens are epoch x 2^40 + a count. */
  readonly epoch: number;
  /** As this replica sees it, or, where it is not part of the group, as members told. */
  status(): GroupStatus;
  /** For metrics. */
  counts(): GroupCounts;
  /** Calls `part` at the beginning of each leadership of this node, now too if it leads; what it returns is disposed at the end. */
  onLeadership(part: LeadingPart): Disposable;
  /** What happened in `apply` on this node's replica, entry by entry. */
  onFacts(callback: (facts: readonly Fact[]) => void): Disposable;
  /** Each applied entry with the hash of everything up to it: equal on all replicas at equal indexes. */
  onApplied(callback: (event: AppliedEvent) => void): Disposable;
  /** What this node's replica knows to be agreed about the mesh's root key; undefined where it is not part of the group. */
  agreedRoots(): AgreedRoots | undefined;
  /** Begins the group of a new mesh with this node alone; resolves when that is agreed. Safe to call again after a crash. */
  found(founding: Founding): Promise<void>;
  /** How many disks hold all that was acknowledged, as the leader tells it; null where nobody leads or answers in time. */
  disks(): Promise<number | null>;
  /** Members with role, reason, progress and health, as the leader tells it; as this node can where nobody leads. */
  report(): Promise<GroupReport>;
  /**
   * Asks the leader, whoever it is, to hand over to `to` or the voter best fit. @returns who leads now.
   * @throws AspenError CONFLICT when `to` has no vote or nobody else has one, UNAVAILABLE when it was not taken over in time.
   */
  transfer(options?: { readonly to?: PeerId }): Promise<{ readonly from: PeerId; readonly leader: PeerId }>;
  /** What a recovery without this node made it give up; undefined when nothing. */
  readonly superseded: Superseded | undefined;
  /**
   * Begins a new epoch on a survivor when the majority is lost for good, and waits until it leads.
   * @throws as `planRecovery`; UNAVAILABLE when nobody leads in time.
   */
  recover(options?: RecoverOptions): Promise<RecoveryPlan>;
  /** Hands the leadership to `to`, or to the voter best fit for it. @returns whether this node no longer leads. */
  handOver(options?: { readonly to?: PeerId; readonly timeoutMs?: number }): Promise<boolean>;
  /** Takes this node out of mesh and group for good: hands over, gives back its membership, waits until it has no vote. */
  leave(options?: { readonly timeoutMs?: number }): Promise<void>;
}
