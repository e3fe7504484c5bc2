import { every, type PeerId } from '../base/index.ts';
import { LeaderClient } from './client.ts';
import { readEpoch, type Superseded } from './epoch.ts';
import type { GroupClient, GroupCounts, GroupStatus, Leadership } from './group.ts';
import { MAIN_GROUP } from './group.ts';
import { GroupMoves } from './group-moves.ts';
import type {
  AgreedRoots,
  Founding,
  Group,
  GroupComponents,
  GroupOptions,
  LeadingPart,
} from './group-node.ts';
import { GroupRecovery, type RecoverOptions } from './group-recovery.ts';
import type { GroupReport } from './group-report.ts';
import { serveGroup } from './group-server.ts';
import { GroupView } from './group-view.ts';
import { Introducer } from './introduction.ts';
import { KvFeed } from './kv-feed.ts';
import { KvWatcher } from './kv-watcher.ts';
import { LabelledReads } from './labelled-reads.ts';
import { LeaderFinder } from './leader-finder.ts';
import { LeaderParts } from './leader-parts.ts';
import {
  countersModule,
  type Fact,
  kvModule,
  leasesModule,
  MACHINE_VERSION,
  type MachineModule,
  membersModule,
  type QueryContext,
  rateLimitsModule,
  readRootList,
  readRootRecords,
  readRootState,
  secretsModule,
  sessionsModule,
} from './machine/index.ts';
import { ConnectionWatch } from './observe-members.ts';
import { onceApplied } from './once-applied.ts';
import { Participation } from './participation.ts';
import { PeerMemory } from './peer-memory.ts';
import type { Claim } from './peer-memory-rules.ts';
import type { RecoveryPlan } from './recovery-rules.ts';
import { type AppliedEvent, Replica } from './replica/index.ts';
import { RootCustody } from './root-custody.ts';
import { SessionHolder } from './session-holder.ts';
import { readOwner } from './store-mark.ts';

const REFRESH_MS = 1_000;

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

function readAgreedRoots(members: QueryContext): AgreedRoots {
  return {
    successions: readRootRecords(members).map(({ succession }) => succession),
    list: readRootList(members),
    isDue: readRootState(members).due.length > 0,
  };
}

class ComposedGroup implements Group {
  readonly session: SessionHolder;
  readonly kvWatcher: KvWatcher;
  readonly reads: LabelledReads;
  readonly #components: GroupComponents;
  readonly #group: string;
  readonly #replica: Replica;
  readonly #memory: PeerMemory;
  readonly #introducer: Introducer;
  readonly #finder: LeaderFinder;
  readonly #client: LeaderClient;
  readonly #participation: Participation;
  readonly #feed: KvFeed;
  readonly #custody: RootCustody;
  readonly #recovery: GroupRecovery;
  readonly #watch: ConnectionWatch;
  readonly #view: GroupView;
  readonly #moves: GroupMoves;
  readonly #leaderParts: LeaderParts;
  readonly #agreedRoots = onceApplied(readAgreedRoots);
  #upkeep: Disposable[] = [];

  constructor(components: GroupComponents, options: GroupOptions) {
    const { self, messenger, clock, random, log, incarnation, onFatal } = components;
    const { mayVote = () => true, traitsOf = () => ({ zone: null }), observe } = components;
    const { roles = {}, sessions } = options;
    this.#components = components;
    this.#group = options.group ?? MAIN_GROUP;
    const modules = withOwn(components.modules);
    const isListenedTo = (peer: PeerId) => mayVote(peer) && !this.#memory.distrusted.has(peer); // W7
    this.#replica = new Replica(
      { ...components, modules, mayVote: isListenedTo },
      { ...options.replica, group: this.#group },
    );
    const replica = this.#replica;
    this.#memory = this.#createMemory(mayVote);
    this.#introducer = this.#createIntroducer(mayVote);
    this.#finder = new LeaderFinder({ messenger, random, clock, replica }, this.#group);
    const finder = this.#finder;
    const run = Buffer.from(random.bytes(8)).toString('hex');
    this.#client = new LeaderClient(
      { self, messenger, clock, random, replica, finder, onFailure: onFatal },
      {
        group: this.#group,
        client: `${self}/${incarnation}/${run}`,
        ...(options.callTimeoutMs !== undefined && { timeoutMs: options.callTimeoutMs }),
      },
    );
    const client = this.#client;
    this.#participation = this.#createParticipation();
    this.#feed = new KvFeed(replica, clock);
    const readParts = { messenger, clock, random, client, status: () => this.status() };
    this.kvWatcher = new KvWatcher({ ...readParts, feed: this.#feed }, this.#group);
    this.reads = new LabelledReads({ ...readParts, replica }, this.#group);
    this.#custody = new RootCustody(components);
    const prepare = () => this.#participation.begin();
    this.#recovery = new GroupRecovery({ self, messenger, replica, mayVote, log, prepare }, this.#group);
    this.#watch = new ConnectionWatch({ messenger, clock });
    this.session = new SessionHolder(
      { client, clock, log: log.child({ part: 'session' }), onFailure: onFatal },
      { incarnation, ...(options.renewEveryMs !== undefined && { renewEveryMs: options.renewEveryMs }) },
    );
    const viewParts = { self, log, replica, client, finder, watch: this.#watch, traitsOf, observe };
    this.#view = new GroupView(viewParts, roles);
    const view = this.#view;
    const linked = () => messenger.connected();
    this.#moves = new GroupMoves({
      self,
      clock,
      replica,
      linked,
      client,
      finder,
      recovery: this.#recovery,
      view,
    });
    this.#leaderParts = new LeaderParts(
      { ...components, replica, custody: this.#custody, memory: this.#memory, view },
      { roles, sessions },
    );
    replica.onLeading((leading) => this.#leaderParts.begin(leading));
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

  get superseded(): Superseded | undefined {
    return this.#replica.superseded;
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
    await this.#participation.start();
    await this.session.start();
  }

  async stop(): Promise<void> {
    await this.#participation.stop();
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
    return this.#view.status();
  }

  disks(): Promise<number | null> {
    return this.#view.disks();
  }

  report(): Promise<GroupReport> {
    return this.#view.report();
  }

  counts(): GroupCounts {
    return this.#replica.counts();
  }

  onLeadership(part: LeadingPart): Disposable {
    return this.#leaderParts.add(part);
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    return this.#replica.onFacts(callback);
  }

  onApplied(callback: (event: AppliedEvent) => void): Disposable {
    return this.#replica.onApplied(callback);
  }

  agreedRoots(): AgreedRoots | undefined {
    return this.#replica.isMember ? this.#agreedRoots(this.#replica.read('members')) : undefined;
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

  transfer(options: { to?: PeerId } = {}): Promise<{ from: PeerId; leader: PeerId }> {
    return this.#moves.transfer(options);
  }

  recover(options: RecoverOptions = {}): Promise<RecoveryPlan> {
    return this.#moves.recover(options);
  }

  handOver(options: { to?: PeerId; timeoutMs?: number } = {}): Promise<boolean> {
    return this.#moves.handOver(options);
  }

  leave(options: { timeoutMs?: number } = {}): Promise<void> {
    return this.#moves.leave(options);
  }

  #createParticipation(): Participation {
    const {
      self,
      incarnation,
      bootCount = 1,
      store,
      clock,
      log,
      onReadmitted,
      lossReason,
      onFatal,
    } = this.#components;
    return new Participation({
      self,
      incarnation,
      bootCount,
      store,
      clock,
      log,
      replica: this.#replica,
      client: this.#client,
      introducer: this.#introducer,
      onReadmitted,
      lossReason,
      onFailure: onFatal,
    });
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
}
