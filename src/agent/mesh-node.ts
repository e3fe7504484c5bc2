import { blobMark } from '../affinity/index.ts';
import type { AuditLog } from '../audit/index.ts';
import { AspenError, estimateRttMs, every, type PeerId, type Startable } from '../base/index.ts';
import { BlobStore, Blobs, MemoryBlobDisk } from '../blobs/index.ts';
import { createRegistry, type Registry } from '../crdt/index.ts';
import { KnownPeers, TicketSource } from '../discovery/index.ts';
import {
  Dispatcher,
  type Executor,
  endInherited,
  JobCounts,
  jobsModule,
  OutputStore,
  serveChanges,
  serveHookTargets,
  serveOutput,
  serveWaiters,
  WorkerHost,
} from '../jobs/index.ts';
import { createGroup, type Group } from '../lease/index.ts';
import {
  createIdentity,
  type Identity,
  type KnownMember,
  type LinkableMember,
  MembershipGate,
  Mesh,
  OnDemand,
  publicKeyOf,
  type Role,
  roleAllows,
  WitnessWatch,
} from '../mesh/index.ts';
import { StorageFault, type Store } from '../storage/index.ts';
import { WorkerHealth } from '../workers/index.ts';
import { auditedExecutor } from './audit-trail.ts';
import { builtIns } from './built-ins.ts';
import type { AgentConfig } from './config.ts';
import { DrainBook } from './drain-book.ts';
import { forgottenJobs } from './forgotten-jobs.ts';
import { StoreGateMemory } from './gate-memory.ts';
import { StoreKnownPeersMemory } from './known-peers-memory.ts';
import { LabelBook, placementLabels } from './label-book.ts';
import { memberViews } from './member-views.ts';
import type { Membership } from './membership.ts';
import { MembershipClient } from './membership-client.ts';
import { isRevocationOf, linkMembership, REVOCATIONS } from './membership-links.ts';
import { Observer } from './net/observer.ts';
import type { PortMapping } from './net/port-mapping.ts';
import { portMappingOf } from './net/port-mapping-parts.ts';
import { PayloadBlobs } from './payload-blobs.ts';
import type { Platform } from './platform.ts';
import { type MachinePower, thriftOf, UNKNOWN_POWER } from './power.ts';
import { linkRoots } from './root-links.ts';
import { voterTraitsOf } from './voter-traits.ts';

export interface MeshNodeComponents {
  readonly platform: Platform;
  readonly store: Store;
  readonly onFatal: (error: unknown) => void;
  /** Told who holds the agreed state, when that changes and this node is one of them. */
  readonly onCopies?: (copies: {
    readonly voters: readonly PeerId[];
    readonly standbys: readonly PeerId[];
  }) => Promise<void>;
  /** Given when this node lost its memory; called when the group takes it in again. */
  readonly onReadmitted?: () => Promise<void>;
  /** What became of its disk; for people. */
  readonly lossReason?: string;
  /** Told when what this node believes about root keys has changed: {@link MeshNode.membership} is to be kept. */
  readonly onRoots?: () => void;
  /** Where executions are noted. @default nowhere */
  readonly audit?: AuditLog | undefined;
  /** Told once when others remember more of the store than it holds. @default as `onFatal` */
  readonly onSetBack?: (fault: StorageFault) => void;
}

export interface MeshNodeOptions {
  readonly config: AgentConfig;
  readonly membership: Membership;
}

/** What this node has that would be lost if it left its mesh. */
export interface Inventory {
  readonly memberCount: number;
  readonly jobCount: number;
  readonly keyCount: number;
}

const ANNOUNCE_MS = 1_000;
/** What others take of the offer of a node. */
const ANNOUNCED_TYPES_LIMIT = 64;
const ANNOUNCED_BLOBS_LIMIT = 64;
const ANNOUNCED_SLOTS_LIMIT = 1_000_000;
/** Jobs and keys are counted so far. */
const INVENTORY_LIMIT = 1_000;
const LINK_VOTERS_MS = 2_000;
const LOOK_AT_POWER_MS = 30_000;

/** One node in one mesh: every part, put together. Parts are named by what they are; who uses whom is all decided here. */
export class MeshNode implements Startable {
  readonly self: PeerId;
  readonly platform: Platform;
  readonly gate: MembershipGate;
  readonly mesh: Mesh;
  /** Asks any member, linked or not. */
  readonly requests: OnDemand;
  readonly group: Group;
  readonly registry: Registry;
  readonly members: MembershipClient;
  readonly outputs: OutputStore;
  readonly worker: WorkerHost;
  readonly labels: LabelBook;
  readonly drain: DrainBook;
  readonly blobs: Blobs;
  readonly payloads: PayloadBlobs;
  readonly portMapping: PortMapping | undefined;
  readonly jobCounts = new JobCounts();
  readonly #membership: Membership;
  #isFounded = false;
  readonly #onRoots: () => void;
  readonly #identity: Identity;
  readonly #config: AgentConfig;
  #parts: readonly Disposable[] = [];
  #upkeep: readonly Disposable[] = [];
  readonly #onCopies: NonNullable<MeshNodeComponents['onCopies']>;
  readonly #onFatal: (error: unknown) => void;
  #announced = '';
  readonly #health: WorkerHealth;
  #power: MachinePower;
  readonly #startedAtMs: number;
  #copies = '';
  /** Who left since this node started, and was not admitted again. */
  readonly #departed = new Set<PeerId>();

  constructor(
    {
      platform,
      store,
      onFatal,
      onCopies,
      onReadmitted,
      onRoots,
      onSetBack,
      lossReason,
      audit,
    }: MeshNodeComponents,
    { config, membership }: MeshNodeOptions,
  ) {
    const { clock, random, crypto, logger, directory } = platform;
    const { meshId } = membership;
    this.platform = platform;
    this.#power = platform.power?.() ?? UNKNOWN_POWER;
    this.#health = new WorkerHealth(clock);
    this.#startedAtMs = clock.wallMs();
    this.#onCopies = onCopies ?? (async () => undefined);
    this.#onFatal = onFatal;
    this.#membership = membership;
    this.#onRoots = onRoots ?? (() => undefined);
    this.#config = config;
    this.#identity = createIdentity(crypto, directory.seed);
    this.self = this.#identity.peerId;
    this.labels = new LabelBook(directory, config.labels);
    this.drain = new DrainBook(directory);

    // What a full disk did not take is told again by the others; it is not worth the process.
    const onMemoryFault = (error: unknown) => {
      if (error instanceof StorageFault && error.kind === 'full')
        logger.warn({ err: error }, 'not remembered');
      else onFatal(error);
    };
    this.gate = new MembershipGate(
      { crypto, memory: new StoreGateMemory(store, onMemoryFault), log: logger },
      { meshId, roots: { entries: membership.roots, witnesses: membership.witnesses } },
    );
    this.gate.recallOwn(membership.certificate);
    const transport = platform.createTransport({
      identity: this.#identity,
      gate: this.gate,
      meshId,
      listen: config.listen,
      ...(config.announce.length > 0 && { announce: config.announce }),
    });
    const knownPeers = new KnownPeers({ memory: new StoreKnownPeersMemory(store, onMemoryFault), clock });
    const contacts = membership.contacts.map((contact) => ({ ...contact, peerId: contact.peerId as PeerId }));
    this.mesh = new Mesh(
      {
        transport,
        gate: this.gate,
        sources: [
          new TicketSource(contacts),
          ...platform.createDiscovery({
            meshId,
            identity: this.#identity,
            gate: this.gate,
            transport,
            introduce: async (contact, signal) =>
              void (await this.mesh.admission.introduce(contact, { signal })),
            addressesOf: (peerId) => this.mesh.connector.book.addressesOf(peerId),
            ownAddresses: () => this.mesh.reach.addresses(),
            isReachable: () => this.mesh.reach.isRelay || this.mesh.reach.reachability === 'public',
          }),
        ],
        knownPeers,
        redeem: (redemption) => this.members.redeem(redemption),
        members: () => this.#knownMembers(),
        linkable: () => this.#linkableMembers(),
        pinned: () => this.#deciders(),
        ...(platform.networkMark !== undefined && { networkMark: platform.networkMark }),
        clock,
        crypto,
        random,
        log: logger,
      },
      { reach: { relay: config.relay } },
    );
    transport.spare?.((peerId) => thriftOf(this.#power, this.registry.node(peerId)?.profile.power));
    const { messenger } = this.mesh;
    this.portMapping = portMappingOf({ platform, mesh: this.mesh }, config);

    this.registry = createRegistry(
      {
        self: this.self,
        incarnation: directory.incarnation,
        sign: (bytes) => crypto.sign(directory.seed, bytes),
        verify: (peerId, bytes, signature) =>
          this.gate.standingOf(peerId) === 'member' && crypto.verify(publicKeyOf(peerId), bytes, signature),
        certificate: () => this.#membership.certificate,
        onCertificate: (owner, certificate) => this.#meet(owner, certificate),
        clock,
        random,
        store,
        gossip: transport.gossip,
        messenger,
        logger,
        links: () => transport.links().filter(({ isQuiet }) => isQuiet !== true), // Z5
        hasParted: (peerId) => this.mesh.links.hasParted(peerId),
        probe: (peerId, signal) => this.mesh.connector.connect(peerId, signal),
        bulletinVerifiers: { [REVOCATIONS]: (key, bytes) => this.#isRevocation(key, bytes) },
        onFailure: onFatal,
      },
      { scope: meshId },
    );

    this.requests = new OnDemand({
      transport,
      messenger,
      connector: this.mesh.connector,
      clock,
      mayLive: (peerId) => this.registry.node(peerId)?.isAlive ?? false,
    });

    this.group = createGroup(
      {
        self: this.self,
        incarnation: directory.incarnation,
        bootCount: directory.bootCount,
        identitySeed: directory.seed,
        meshId,
        crypto,
        store,
        messenger,
        clock,
        random,
        log: logger,
        modules: [jobsModule],
        onFatal,
        traitsOf: (peerId) => voterTraitsOf(this.registry.node(peerId)?.profile, clock.wallMs()),
        mayVote: (peerId) => this.gate.certificateOf(peerId)?.role === 'voter',
        ...(onReadmitted !== undefined && { onReadmitted }),
        ...(onSetBack !== undefined && { onSetBack }),
        ...(lossReason !== undefined && { lossReason }),
        ...platform.trial,
      },
      {
        roles: { voters: config.voters, graceMs: config.voterGraceMs },
        ...(platform.trial?.replica !== undefined && { replica: platform.trial.replica }),
      },
    );
    this.group.onFacts(this.jobCounts.onFacts);
    this.group.onFacts((facts) => {
      for (const { module, type, peerId } of facts) {
        if (module !== 'members') continue;
        if (type === 'left') this.#departed.add(peerId as PeerId);
        if (type === 'admitted') this.#departed.delete(peerId as PeerId);
      }
    });
    this.members = new MembershipClient({ group: this.group.client, crypto, random });

    this.blobs = new Blobs({
      self: this.self,
      store: new BlobStore(
        { disk: platform.blobDisk ?? new MemoryBlobDisk(), crypto, clock, random, log: logger },
        { quotaBytes: config.blobQuotaBytes },
      ),
      messenger,
      clock,
      crypto,
      random,
      log: logger.child({ part: 'blobs' }),
      mayKeep: (peerId) => roleAllows(this.gate.certificateOf(peerId)?.role ?? 'observer', 'submitter'),
      connect: (peerId) => this.mesh.connector.connect(peerId),
      forgottenJobs: (jobIds) => forgottenJobs(this.group.client, jobIds),
      onFailure: onFatal,
    });
    this.payloads = new PayloadBlobs({
      self: this.self,
      blobs: this.blobs,
      clock,
      workers: () => this.#linkedWorkers(),
    });
    this.outputs = new OutputStore({
      clock,
      ...(platform.archive !== undefined && { archive: platform.archive }),
    });
    this.worker = new WorkerHost(
      {
        self: this.self,
        executors: this.#mayWork ? this.#executors(store, audit) : [],
        session: this.group.session,
        group: this.group.client,
        messenger,
        outputs: this.outputs,
        clock,
        random,
        log: logger.child({ part: 'worker' }),
        leader: () => this.group.status().leader,
        labels: () => placementLabels(this.labels.all(), this.#machine()),
        isDrained: () => this.drain.isDraining,
        payloads: this.payloads,
        onProgress: (jobId, fencingToken, progress) =>
          this.registry.publishProgress(jobId, fencingToken, progress),
        onFailure: onFatal,
      },
      this.#mayWork ? { slots: config.slots, slotsMost: config.slotsMost } : { slots: 0 },
    );
    this.group.onLeadership((leadership, { sessions }) => {
      serveWaiters(leadership, clock);
      serveHookTargets(leadership);
      serveChanges(leadership, clock);
      return new Dispatcher({
        leadership,
        sessions,
        messenger,
        clock,
        random,
        log: logger.child({ part: 'dispatcher' }),
        roleOf: (peerId) => this.gate.certificateOf(peerId)?.role,
        coordinateOf: (peerId) => this.registry.node(peerId)?.coordinate,
        blobsOf: (peerId) => new Set(this.registry.node(peerId)?.profile.blobs),
        knownNodes: () => memberViews(this.gate.members(), this.registry, clock.monotonicMs()),
      });
    });
  }

  /** As it is to be kept now. */
  get membership(): Membership {
    const { roots } = this.gate;
    const foundingRootSeed = this.#isFounded ? null : this.#membership.foundingRootSeed;
    return { ...this.#membership, foundingRootSeed, roots: roots.entries(), witnesses: roots.witnesses };
  }

  get role(): Role {
    return this.gate.certificateOf(this.self)?.role ?? 'observer';
  }

  async start(): Promise<void> {
    const { clock } = this.platform;
    await this.labels.load();
    await this.drain.load();
    const { messenger } = this.mesh;
    this.#parts = [
      serveOutput({ messenger, store: this.outputs, clock }),
      linkMembership({
        self: this.self,
        gate: this.gate,
        registry: this.registry,
        group: this.group,
        transport: this.mesh.transport,
      }),
      linkRoots({
        self: this.self,
        identitySeed: this.#identity.seed,
        crypto: this.platform.crypto,
        gate: this.gate,
        group: this.group,
        registry: this.registry,
        transport: this.mesh.transport,
        clock,
        log: this.platform.logger.child({ part: 'roots' }),
        onChange: this.#onRoots,
      }),
      new Observer({
        messenger,
        transport: this.mesh.transport,
        clock,
        random: this.platform.random,
        udp: this.platform.udp,
      }),
      new WitnessWatch({
        messenger,
        roots: this.gate.roots,
        clock,
        log: this.platform.logger.child({ part: 'witnesses' }),
        ownVoters: () => {
          const { role, voters } = this.group.status();
          return role === 'spare' ? undefined : voters;
        },
        saidVoters: () => this.group.status().voters,
      }),
      messenger.handle('node/label', ({ from, body }) =>
        this.labels.onRequest(this.gate.certificateOf(from)?.role, body),
      ),
      messenger.handle('node/drain', ({ from, body }) =>
        this.drain.onRequest(this.gate.certificateOf(from)?.role, body),
      ),
      this.drain.onChange(() => {
        this.#announce();
        this.group.session.poke();
      }),
      this.worker.onOfferChange(() => this.#announce()),
      this.mesh.roaming.onUpheaval(() => this.#onUpheaval()),
      this.labels.onChange(() => {
        this.#announce();
        this.group.session.poke();
      }),
    ];
    await this.blobs.start();
    if (!this.worker.offer().types.includes('shell')) await endInherited(this.platform.supervisor);
    await this.worker.start();
    await this.group.start();
    await this.mesh.start();
    await this.portMapping?.start();
    await this.registry.start();
    this.#announce();
    // Addresses and the part in the group change without anybody telling.
    this.#upkeep = [
      every(clock, ANNOUNCE_MS, () => this.#announce()),
      every(clock, LINK_VOTERS_MS, () => this.#linkVoters()),
      every(clock, LOOK_AT_POWER_MS, () => {
        this.#power = this.platform.power?.() ?? UNKNOWN_POWER;
      }),
    ];
  }

  /** Jobs finish or are handed over, or go on where they can without an agent, the leadership goes to another voter, then everything ends in the reverse order. */
  async stop(how: { readonly leaveRunning?: boolean } = {}): Promise<void> {
    await this.worker.stop(how);
    await this.group.handOver();
    for (const part of this.#upkeep) part[Symbol.dispose]();
    await this.blobs.stop();
    await this.portMapping?.stop();
    await this.registry.stop();
    await this.group.stop();
    await this.mesh.stop();
    for (const part of this.#parts) part[Symbol.dispose]();
  }

  /** Makes this node the group of a new mesh. Safe to call again after a crash. */
  async found(rootSeed: Uint8Array): Promise<void> {
    await this.group.found({ rootSeed, certificate: this.#membership.certificate });
    this.#isFounded = true;
  }

  async leave({ timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    await this.worker.stop();
    if ((await this.members.countMembers()) > 1) await this.group.leave({ timeoutMs });
    this.registry.withdraw();
  }

  async inventory(): Promise<Inventory> {
    const { client } = this.group;
    const jobs = await client.query<{ readonly jobs: readonly unknown[] }>({
      module: 'jobs',
      kind: 'list',
      body: { limit: INVENTORY_LIMIT },
    });
    const keys = await client.query<{ readonly entries: readonly unknown[] }>({
      module: 'kv',
      kind: 'scan',
      body: { prefix: '', limit: INVENTORY_LIMIT },
    });
    return {
      memberCount: await this.members.countMembers(),
      jobCount: jobs.jobs.length,
      keyCount: keys.entries.length,
    };
  }

  /** What this machine runs on, as of half a minute ago at most. */
  get power(): MachinePower {
    return this.#power;
  }

  /** Where others may try to reach a peer: what it said itself, or how it is linked now. */
  addressesOf(peerId: PeerId, linkAddress: string): string[] {
    const told = this.registry.node(peerId)?.profile.addresses ?? [];
    return told.length > 0 ? [...told] : [linkAddress];
  }

  #knownMembers(): KnownMember[] {
    return this.gate.members().flatMap(({ peerId }) => {
      const profile = peerId === this.self ? undefined : this.registry.node(peerId)?.profile;
      if (profile === undefined) return [];
      return [{ peerId, addresses: profile.addresses, isRelay: profile.isRelay === true }];
    });
  }

  /** In no order; asked when it matters to whom this node is linked. */
  #linkableMembers(): readonly LinkableMember[] {
    return this.gate.members().flatMap(({ peerId }) => {
      const known = peerId === this.self ? undefined : this.registry.node(peerId);
      if (known === undefined) return [];
      const { isAlive, coordinate, profile } = known;
      const rttMs = coordinate && estimateRttMs(this.registry.coordinate, coordinate);
      return [{ peerId, isAlive, rttMs, addresses: profile.addresses }];
    });
  }

  /** Who votes and who leads: everybody has something to say to them. */
  #deciders(): ReadonlySet<PeerId> {
    const { voters, leader } = this.group.status();
    return new Set([...voters, ...(leader === null ? [] : [leader])]);
  }

  #linkedWorkers(): readonly PeerId[] {
    const isWorker = (peerId: PeerId) =>
      roleAllows(this.gate.certificateOf(peerId)?.role ?? 'observer', 'worker');
    return this.mesh.messenger.connected().filter(isWorker);
  }

  /** What this machine is, and how its workers do. */
  #machine(): Readonly<Record<string, string>> {
    return { ...this.platform.machine, ...this.#health.labels() };
  }

  get #mayWork(): boolean {
    return roleAllows(this.role, 'worker');
  }

  #executors(store: Store, audit: AuditLog | undefined): readonly Executor[] {
    const { platform, blobs, self } = this;
    const components = {
      ...{ platform, blobs, self, store },
      group: this.group.client,
      meshId: this.#membership.meshId,
      candidates: () => this.#linkedWorkers(),
    };
    const options = { audit, crypto: platform.crypto, mode: this.#config.audit };
    return builtIns(components, this.#config).map((executor) =>
      auditedExecutor(executor.type === 'echo' ? executor : this.#health.watch(executor), options),
    );
  }

  /** Most members of a large mesh are never linked with this node; what they tell to prove themselves is as good as if they did so here. */
  #meet(owner: PeerId, certificate: Uint8Array): void {
    if (this.#departed.has(owner)) return; // it left: what others still hold of it says nothing new
    try {
      if (this.gate.verify(certificate).peerId === owner) this.gate.admit(certificate);
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.platform.logger.debug({ err, owner }, 'what a peer tells to prove itself does not hold here');
    }
  }

  #isRevocation(key: string, bytes: Uint8Array): boolean {
    const { roots } = this.gate;
    return isRevocationOf(
      { crypto: this.platform.crypto, meshId: this.#membership.meshId, roots },
      key,
      bytes,
    );
  }

  /** Outside of the store, so that it is known what is lost when the store is. */
  #noteCopies(): void {
    const { role, voters, standbys } = this.group.status();
    const text = JSON.stringify([voters, standbys]);
    if (role === 'spare' || text === this.#copies) return;
    this.#copies = text;
    this.#onCopies({ voters, standbys }).catch((error: unknown) => {
      if (error instanceof AspenError && error.code === 'RESOURCE_EXHAUSTED') this.#copies = '';
      else this.#onFatal(error);
    });
  }

  #announce(): void {
    this.#noteCopies();
    const { types, slots } = this.worker.offer();
    const profile = {
      name: this.#config.name,
      labels: { ...this.labels.all() },
      version: this.platform.version,
      role: this.role,
      addresses: this.mesh.reach.addresses().slice(0, 32),
      types: types.slice(0, ANNOUNCED_TYPES_LIMIT),
      slots: Math.min(slots, ANNOUNCED_SLOTS_LIMIT),
      groupRole: this.group.status().role,
      ...(this.#power.source !== null && { power: this.#power.source }),
      startedAtMs: this.#startedAtMs,
      startCount: this.platform.directory.bootCount,
      ...(this.drain.isDraining && { isDraining: true }),
      ...(this.mesh.reach.isRelay && { isRelay: true }),
      ...this.#heldBlobs(),
      ...this.#sealingKey(),
      machine: this.#machine(),
    };
    const text = JSON.stringify(profile);
    if (text === this.#announced) return;
    this.#announced = text;
    this.registry.announce(profile);
  }

  #sealingKey(): { readonly sealingKey?: string } {
    const { sealingKey } = this.platform;
    return sealingKey === undefined ? {} : { sealingKey: Buffer.from(sealingKey).toString('base64') };
  }

  /** In the order of their names, so that nothing is told again because one was read. */
  #heldBlobs(): { readonly blobs?: readonly string[] } {
    const newest = this.blobs.store.newest(ANNOUNCED_BLOBS_LIMIT);
    return newest.length === 0 ? {} : { blobs: newest.map((id) => blobMark(id)).sort() };
  }

  /** What was asserted before is asked again at once: the session first of all, then where this node is reached. */
  #onUpheaval(): void {
    this.group.session.checkSleep();
    this.group.session.poke();
    this.portMapping?.anew();
    this.#announce();
    this.#linkVoters();
  }

  /** In a mesh with more members than links, whoever decides must still be linked. */
  #linkVoters(): void {
    for (const peerId of this.#deciders()) {
      if (peerId === this.self || this.mesh.transport.isLinked(peerId)) continue;
      this.mesh.connector
        .connect(peerId)
        .catch((err: unknown) => this.platform.logger.debug({ err, peerId }, 'voter not linked'));
    }
  }
}
