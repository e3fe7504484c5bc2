import {
  AspenError,
  type Clock,
  type Crypto,
  every,
  type Logger,
  type MeshId,
  type PeerId,
  type Random,
  type Startable,
  sleep,
  Tasks,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { StorageFault, type Store } from '../storage/index.ts';
import { ClaimKeeper } from './claim-keeper.ts';
import { LeaderClient } from './client.ts';
import { readEpoch, type Superseded } from './epoch.ts';
import { expire, KEYS, LEASES } from './expirer.ts';
import type { GroupClient, GroupCounts, GroupStatus, Leadership } from './group.ts';
import { MAIN_GROUP } from './group.ts';
import { serveGroupCare } from './group-care.ts';
import { GroupRecovery, type RecoverOptions } from './group-recovery.ts';
import { type GroupReport, reportGroup, reportWithoutLeader } from './group-report.ts';
import { serveGroup } from './group-server.ts';
import { Introducer } from './introduction.ts';
import { KvFeed } from './kv-feed.ts';
import { KvWatcher } from './kv-watcher.ts';
import { LabelledReads } from './labelled-reads.ts';
import { LeaderFinder } from './leader-finder.ts';
import type { LeaderTerm } from './leader-term.ts';
import {
  countersModule,
  type Fact,
  kvModule,
  leasesModule,
  listMembers,
  MACHINE_VERSION,
  type MachineModule,
  membersModule,
  rateLimitsModule,
  readRootList,
  readRootRecords,
  readRootState,
  secretsModule,
  sessionsModule,
} from './machine/index.ts';
import { ConnectionWatch } from './observe-members.ts';
import { PeerMemory } from './peer-memory.ts';
import type { Claim } from './peer-memory-rules.ts';
import type { CommitRule } from './raft/index.ts';
import { serveReadmissions, untilReadmitted } from './readmission.ts';
import type { RecoveryPlan } from './recovery-rules.ts';
import { serveRegistrar } from './registrar.ts';
import { type AppliedEvent, Replica, type ReplicaOptions } from './replica/index.ts';
import { bestSuccessor, keepRoles } from './role-keeper.ts';
import type { MemberObservation, PeerTraits, RolesOptions } from './roles.ts';
import { RootCustody } from './root-custody.ts';
import { RootKeeper } from './root-keeper.ts';
import { countDisks } from './second-disk.ts';
import { SessionHolder } from './session-holder.ts';
import { SessionKeeper, type SessionKeeperOptions } from './session-keeper.ts';
import { ownerRecord, readOwner } from './store-mark.ts';

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

const REFRESH_MS = 1_000;
const WAIT_STEP_MS = 50;
const REPORT_TIMEOUT_MS = 3_000;
const DISKS_TIMEOUT_MS = 500;
const RECOVERED_TIMEOUT_MS = 15_000;
/** Of one try. */
const TRANSFER_TIMEOUT_MS = 2_500;
const TRANSFER_TRIES = 3;

const OWN_MODULES: readonly MachineModule[] = [
  kvModule,
  leasesModule,
  countersModule,
  rateLimitsModule,
  sessionsModule,
  membersModule,
  secretsModule,
];

function withOwn(modules: readonly MachineModule[]): readonly MachineModule[] {
  const names = new Set(modules.map(({ name }) => name));
  return [...OWN_MODULES.filter(({ name }) => !names.has(name)), ...modules];
}

/** @throws StorageFault `damaged` when what the store holds of the group cannot be trusted. */
export function createGroup(components: GroupComponents, options: GroupOptions = {}): Group {
  return new ComposedGroup(components, options);
}

class ComposedGroup implements Group {
  readonly session: SessionHolder;
  readonly kvWatcher: KvWatcher;
  readonly reads: LabelledReads;
  readonly #feed: KvFeed;
  readonly #components: GroupComponents;
  readonly #options: GroupOptions;
  readonly #group: string;
  readonly #replica: Replica;
  readonly #finder: LeaderFinder;
  readonly #client: LeaderClient;
  readonly #custody: RootCustody;
  readonly #recovery: GroupRecovery;
  readonly #watch: ConnectionWatch;
  readonly #memory: PeerMemory;
  readonly #introducer: Introducer;
  readonly #parts = new Set<LeadingPart>();
  #sessions: SessionKeeper | undefined;
  #upkeep: Disposable[] = [];
  #takingPart: Promise<void> | undefined;
  #isStopped = false;
  readonly #tasks: Tasks;

  constructor(components: GroupComponents, options: GroupOptions) {
    const { self, messenger, clock, random, log, incarnation, onFatal } = components;
    this.#components = components;
    this.#options = options;
    this.#tasks = new Tasks(onFatal);
    this.#group = options.group ?? MAIN_GROUP;
    const modules = withOwn(components.modules);
    const { mayVote = () => true } = components;
    const isListenedTo = (peer: PeerId) => mayVote(peer) && !this.#memory.distrusted.has(peer); // W7
    this.#replica = new Replica(
      { ...components, modules, mayVote: isListenedTo },
      { ...options.replica, group: this.#group },
    );
    this.#memory = this.#createMemory(mayVote);
    this.#introducer = this.#createIntroducer(mayVote);
    this.#finder = new LeaderFinder({ messenger, random, clock, replica: this.#replica }, this.#group);
    const run = Buffer.from(random.bytes(8)).toString('hex');
    this.#client = new LeaderClient(
      { self, messenger, clock, random, replica: this.#replica, finder: this.#finder, onFailure: onFatal },
      {
        group: this.#group,
        client: `${self}/${incarnation}/${run}`,
        ...(options.callTimeoutMs !== undefined && { timeoutMs: options.callTimeoutMs }),
      },
    );
    this.#feed = new KvFeed(this.#replica, clock);
    const readParts = { messenger, clock, random, client: this.#client, status: () => this.status() };
    this.kvWatcher = new KvWatcher({ ...readParts, feed: this.#feed }, this.#group);
    this.reads = new LabelledReads({ ...readParts, replica: this.#replica }, this.#group);
    this.#custody = new RootCustody(components);
    this.#recovery = new GroupRecovery(
      { self, messenger, replica: this.#replica, mayVote, log, prepare: () => this.#takePart() },
      this.#group,
    );
    this.#watch = new ConnectionWatch({ messenger, clock });
    this.session = new SessionHolder(
      { client: this.#client, clock, log: log.child({ part: 'session' }), onFailure: onFatal },
      { incarnation, ...(options.renewEveryMs !== undefined && { renewEveryMs: options.renewEveryMs }) },
    );
    this.#replica.onLeading((leading) => this.#lead(leading));
  }

  get client(): GroupClient {
    return this.#client;
  }

  get leadership(): Leadership | undefined {
    return this.#replica.leading;
  }

  get isMember(): boolean {
    return this.#replica.isMember;
  }

  get haltReason(): string | null {
    return this.#replica.haltReason;
  }

  get epoch(): number {
    return this.#replica.epoch;
  }

  async start(): Promise<void> {
    const { messenger, clock } = this.#components;
    const parts = { messenger, replica: this.#replica, finder: this.#finder };
    this.#upkeep = [
      serveGroup(parts, this.#group),
      this.kvWatcher.serve(),
      this.reads.serve(),
      this.#recovery.serve(),
      this.#memory.start(),
      every(clock, REFRESH_MS, () => {
        this.#finder.refresh().catch((error: unknown) => this.#components.onFatal(error));
      }),
    ];
    await this.#client.start();
    const { onReadmitted } = this.#components;
    if (onReadmitted !== undefined) this.#tasks.run((signal) => this.#startAgain(onReadmitted, signal));
    else {
      this.#introducer.start();
      if (this.#sharesGroup()) this.#tasks.run((signal) => this.#startWhenAgreed(signal));
      else await this.#takePart();
    }
    await this.session.start();
  }

  /** Whether others hold, or held, the same log, so that they may remember more of it than this store has. */
  #sharesGroup(): boolean {
    const { voters, outgoing } = this.#replica.raftState.configuration;
    return [...voters, ...outgoing].some((peer) => peer !== this.#components.self);
  }

  /** W8 */
  async #startWhenAgreed(signal: AbortSignal): Promise<void> {
    if (await this.#introducer.untilAgreed(signal)) await this.#takePart();
  }

  /** The store is noted to be of this life before anything is said on its strength. Happens once. */
  #takePart(): Promise<void> {
    this.#takingPart ??= this.#beginTakingPart();
    return this.#takingPart;
  }

  async #beginTakingPart(): Promise<void> {
    const { store, incarnation, bootCount = 1, log } = this.#components;
    const { key, value } = ownerRecord({ incarnation, bootCount });
    try {
      await store.write([{ type: 'put', key, value }]);
    } catch (err) {
      if (!(err instanceof StorageFault) || err.kind !== 'full') throw err;
      log.warn({ err }, 'the disk is full: this start is not noted');
    }
    if (this.#isStopped) return;
    await this.#replica.start();
    this.#introducer.takePart();
  }

  /** Q1 */
  async #startAgain(onReadmitted: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, incarnation, log, lossReason: reason } = this.#components;
    await untilReadmitted({ client: this.#client, clock, log, incarnation, reason }, signal);
    await onReadmitted();
    if (signal.aborted) return;
    log.info({}, 'the group counts on this node no longer: it comes back as a learner');
    this.#introducer.start();
    await this.#takePart();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#tasks.stop();
    await this.#introducer.stop();
    await this.session.stop();
    await this.#client.stop();
    await this.#replica.stop();
    await this.#memory.keep();
    for (const part of this.#upkeep.splice(0)) part[Symbol.dispose]();
    this.#watch[Symbol.dispose]();
    this.#feed[Symbol.dispose]();
  }

  status(): GroupStatus {
    const own = this.#replica.status();
    const hint = this.#finder.hint;
    if (own.role !== 'spare' || hint === undefined) return own;
    const { leader, term, commitIndex, voters, standbys } = hint;
    return { ...own, leader, term, commitIndex, voters, standbys, hasQuorum: leader !== null };
  }

  counts(): GroupCounts {
    return this.#replica.counts();
  }

  onLeadership(part: LeadingPart): Disposable {
    this.#parts.add(part);
    const leading = this.#replica.leading;
    if (leading !== undefined) this.#begin(part, leading);
    return { [Symbol.dispose]: () => void this.#parts.delete(part) };
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    return this.#replica.onFacts(callback);
  }

  onApplied(callback: (event: AppliedEvent) => void): Disposable {
    return this.#replica.onApplied(callback);
  }

  agreedRoots(): AgreedRoots | undefined {
    if (!this.#replica.isMember) return undefined;
    const members = this.#replica.read('members');
    return {
      successions: readRootRecords(members).map(({ succession }) => succession),
      list: readRootList(members),
      isDue: readRootState(members).due.length > 0,
    };
  }

  async found({ rootSeed, certificate }: Founding): Promise<void> {
    const { self, crypto, meshId, identitySeed } = this.#components;
    await this.#replica.bootstrap();
    const sealingKey = crypto.sealingPublicKey(identitySeed);
    const body = {
      meshId,
      rootPublicKey: crypto.signingPublicKey(rootSeed),
      founder: { peerId: self, sealingKey, certificate },
      custody: this.#custody.seal(rootSeed, sealingKey),
      version: MACHINE_VERSION,
    };
    await this.#client.propose({ module: 'members', kind: 'found', body });
    this.session.poke();
  }

  async handOver({ to, timeoutMs = 2_000 }: { to?: PeerId; timeoutMs?: number } = {}): Promise<boolean> {
    const { self } = this.#components;
    if (this.#replica.leading === undefined) return true;
    const successor = to ?? bestSuccessor(this.#replica.raftState, self);
    if (successor === undefined || !this.#replica.transferLeadership(successor)) return false;
    return this.#until(() => this.#replica.leading === undefined, timeoutMs);
  }

  get superseded(): Superseded | undefined {
    return this.#replica.superseded;
  }

  async recover(options: RecoverOptions = {}): Promise<RecoveryPlan> {
    const plan = await this.#recovery.recover(options);
    if (options.isDryRun === true) return plan;
    const isLed = () => {
      void this.#finder.refresh();
      return this.status().leader === plan.on;
    };
    if (await this.#until(isLed, RECOVERED_TIMEOUT_MS)) return plan;
    throw new AspenError(
      'UNAVAILABLE',
      `${plan.on} was told to go on, and does not lead yet: see group status`,
      {
        outcome: 'unknown',
      },
    );
  }

  async disks(): Promise<number | null> {
    const { leader, hasQuorum } = this.status();
    if (leader === null || !hasQuorum) return null;
    if (this.#replica.leading !== undefined) return countDisks(this.#replica.raftState);
    try {
      const options = { timeoutMs: DISKS_TIMEOUT_MS };
      return (await this.#client.askLeader<GroupReport>('group/report', null, options)).diskCount;
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      return null;
    }
  }

  async report(): Promise<GroupReport> {
    try {
      return await this.#client.askLeader<GroupReport>('group/report', null, {
        timeoutMs: REPORT_TIMEOUT_MS,
      });
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      this.#components.log.debug({ err: error }, 'nobody leads who could report');
      return reportWithoutLeader(this.status(), { epoch: this.epoch, members: this.#observe() });
    }
  }

  /** A hand-over can fall through where the successor is lost or slow: it is asked for again, until the time is up. */
  async transfer({ to }: { to?: PeerId } = {}): Promise<{ from: PeerId; leader: PeerId }> {
    const ask = () => this.#client.askLeader<{ from: PeerId }>('group/transfer', { to: to ?? null });
    const { from } = await ask();
    const isOver = () => {
      void this.#finder.refresh();
      const { leader } = this.status();
      return leader !== null && (to === undefined ? leader !== from : leader === to);
    };
    for (let tries = 0; tries < TRANSFER_TRIES; tries += 1) {
      if (await this.#until(isOver, TRANSFER_TIMEOUT_MS))
        return { from, leader: this.status().leader as PeerId };
      if (to !== undefined) await ask();
    }
    throw new AspenError(
      'UNAVAILABLE',
      `${to ?? 'no other voter'} did not take over the leadership in time`,
      {
        outcome: 'unknown',
      },
    );
  }

  async leave({ timeoutMs = 30_000 }: { timeoutMs?: number } = {}): Promise<void> {
    const { self } = this.#components;
    await this.handOver();
    await this.#client.askLeader('members/leave', { peerId: self }, { timeoutMs });
    const isOut = await this.#until(() => !this.#isInGroup(), timeoutMs);
    if (isOut) return;
    throw new AspenError(
      'DEADLINE_EXCEEDED',
      `this node still has a part in the group after ${timeoutMs} ms`,
    );
  }

  /** A node that was taken out may never hear of it: then the others' word counts. */
  #isInGroup(): boolean {
    const { self } = this.#components;
    const { role, leader } = this.#replica.status();
    if (role === 'spare') return false;
    if (leader !== null) return true;
    void this.#finder.ask();
    const hint = this.#finder.hint;
    return hint === undefined || [...hint.voters, ...hint.standbys].includes(self);
  }

  async #until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    const { clock } = this.#components;
    for (let spentMs = 0; !isTrue(); spentMs += WAIT_STEP_MS) {
      if (spentMs >= timeoutMs) return false;
      await sleep(clock, WAIT_STEP_MS);
    }
    return true;
  }

  #createMemory(mayVote: (peer: PeerId) => boolean): PeerMemory {
    const { store, messenger, clock, log, onFatal } = this.#components;
    return new PeerMemory(
      {
        store,
        messenger,
        clock,
        mayVote,
        log: log.child({ part: 'memory' }),
        epoch: () => readEpoch(store),
        state: () => this.#replica.raftState,
        onFailure: onFatal,
      },
      this.#group,
    );
  }

  #createIntroducer(mayVote: (peer: PeerId) => boolean): Introducer {
    const { self, messenger, clock, log, onFatal, onSetBack = onFatal } = this.#components;
    return new Introducer(
      {
        self,
        messenger,
        clock,
        mayVote,
        log: log.child({ part: 'introduction' }),
        configuration: () => this.#replica.raftState.configuration,
        claim: () => this.#claim(),
        onObjection: onSetBack,
        onFailure: onFatal,
      },
      this.#group,
    );
  }

  #claim(): Claim {
    const { store, incarnation } = this.#components;
    const { term, lastIndex } = this.#replica.raftState;
    return {
      owner: readOwner(store) ?? { incarnation, bootCount: 0 },
      position: { epoch: readEpoch(store), term, index: lastIndex },
      incarnation,
    };
  }

  #lead(leading: LeaderTerm): void {
    const { self, crypto, random, clock, log } = this.#components;
    const replica = this.#replica;
    const custody = this.#custody;
    this.#sessions = new SessionKeeper(
      { leadership: leading, clock, random, log: log.child({ part: 'sessions' }) },
      this.#options.sessions,
    );
    leading.hold(this.#sessions);
    leading.hold(expire(KEYS, leading, { clock, log }));
    leading.hold(expire(LEASES, leading, { clock, log }));
    leading.hold(new ClaimKeeper(leading, { clock, log: log.child({ part: 'claims' }) }));
    const readmissions = serveReadmissions(leading, () => replica.raftState);
    const rootKeeper = new RootKeeper(leading, {
      meshId: this.#components.meshId,
      crypto,
      random,
      clock,
      log: log.child({ part: 'root' }),
      replica,
      custody,
    });
    leading.hold(rootKeeper);
    serveRegistrar(leading, {
      self,
      meshId: this.#components.meshId,
      crypto,
      random,
      clock,
      replica,
      custody,
      rootKeeper,
    });
    const roleParts = {
      self,
      replica,
      custody,
      clock,
      log: log.child({ part: 'roles' }),
      observe: this.#observe,
      forgetful: () => readmissions.waiting,
    };
    leading.hold(keepRoles(leading, roleParts, this.#options.roles ?? {}));
    serveGroupCare(leading, {
      self,
      replica,
      report: () =>
        reportGroup({
          self,
          state: replica.raftState,
          epoch: replica.epoch,
          members: this.#observe(),
          options: this.#options.roles ?? {},
          lostStores: new Map([...this.#memory.distrusted, ...readmissions.reasons]),
        }),
    });
    for (const part of this.#parts) this.#begin(part, leading);
  }

  #begin(part: LeadingPart, leading: LeaderTerm): void {
    const sessions = this.#sessions as SessionKeeper;
    const held = part(leading, { sessions });
    if (held !== undefined) leading.hold(held);
  }

  readonly #observe = (): readonly MemberObservation[] => {
    const { observe, traitsOf = () => ({ zone: null }) } = this.#components;
    if (observe !== undefined) return observe();
    return this.#watch.observe(listMembers(this.#replica.read('members')), traitsOf);
  };
}
