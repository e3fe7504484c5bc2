import type { AuditLog } from '../audit/index.ts';
import { every, type PeerId, type Startable, sleep } from '../base/index.ts';
import type { Blobs } from '../blobs/index.ts';
import type { Registry } from '../crdt/index.ts';
import { endInherited, JobCounts, OutputStore, type WorkerHost } from '../jobs/index.ts';
import type { Group } from '../lease/index.ts';
import {
  createIdentity,
  departureKey,
  type Identity,
  type MembershipGate,
  type Mesh,
  OnDemand,
  type Role,
  roleAllows,
  signDeparture,
} from '../mesh/index.ts';
import { StorageFault, type Store } from '../storage/index.ts';
import { WorkerHealth } from '../workers/index.ts';
import { Acquaintances } from './acquaintances.ts';
import { Announcer } from './announcer.ts';
import type { AgentConfig } from './config.ts';
import { type Copies, CopiesNote } from './copies-note.ts';
import { Discharges } from './discharges.ts';
import { DrainBook } from './drain-book.ts';
import { Ending, endingOf, untilEnded } from './ending.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { LabelBook } from './label-book.ts';
import type { Membership } from './membership.ts';
import { MembershipClient } from './membership-client.ts';
import { DEPARTURES } from './membership-links.ts';
import type { PortMapping } from './net/port-mapping.ts';
import { portMappingOf } from './net/port-mapping-parts.ts';
import type { PayloadBlobs } from './payload-blobs.ts';
import type { Platform } from './platform.ts';
import { type MachinePower, UNKNOWN_POWER } from './power.ts';
import { createNodeBlobs, createNodePayloads } from './rooms/blobs-room.ts';
import { createNodeGroup } from './rooms/group-room.ts';
import { createNodeWorker, leadingJobs } from './rooms/jobs-room.ts';
import { createNodeGate, createNodeMesh } from './rooms/mesh-room.ts';
import type { NodeRooms } from './rooms/node-rooms.ts';
import { createNodeRegistry } from './rooms/registry-room.ts';
import { serveNode } from './rooms/services.ts';

export interface MeshNodeComponents {
  readonly platform: Platform;
  readonly store: Store;
  readonly onFatal: (error: unknown) => void;
  /** Told who holds the agreed state, when that changes and this node is one of them. */
  readonly onCopies?: (copies: Copies) => Promise<void>;
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

const ANNOUNCE_MS = 1_000;
const LINK_VOTERS_MS = 2_000;
/** Unit: ms. */
const LEAVE_TAKING_MS = 500;
const LOOK_AT_POWER_MS = 30_000;
/** Once nothing runs here any more: how long the node waits for whatever concerns others before it ends. Unit: ms. */
const ENDING_LIMIT_MS = 4_000;
/** Of it, for the leadership: where nobody takes it over at once, those that stay elect somebody. Unit: ms. */
const HAND_OVER_MS = 2_000;

/** One node in one mesh: every part, put together. Parts are named by what they are; each is made in its room (`rooms/`), in the order that stands here. */
export class MeshNode implements NodeRooms, Startable {
  readonly self: PeerId;
  readonly platform: Platform;
  readonly labels: LabelBook;
  readonly drain: DrainBook;
  readonly gate: MembershipGate;
  readonly acquaintances: Acquaintances;
  readonly mesh: Mesh;
  readonly registry: Registry;
  /** Asks any member, linked or not. */
  readonly requests: OnDemand;
  readonly group: Group;
  readonly members: MembershipClient;
  readonly blobs: Blobs;
  readonly payloads: PayloadBlobs;
  readonly outputs: OutputStore;
  readonly worker: WorkerHost;
  readonly portMapping: PortMapping | undefined;
  readonly jobCounts = new JobCounts();
  readonly #membership: Membership;
  readonly #identity: Identity;
  readonly #announcer: Announcer;
  readonly #copies: CopiesNote;
  readonly #onRoots: () => void;
  #power: MachinePower;
  #isFounded = false;
  #parts: readonly Disposable[] = [];
  #upkeep: readonly Disposable[] = [];

  constructor(
    {
      platform,
      store,
      onFatal,
      onCopies = async () => undefined,
      onReadmitted,
      onRoots = () => undefined,
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
    this.#membership = membership;
    this.#onRoots = onRoots;
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
    const onLinks = { platform, store, membership, onMemoryFault };
    this.gate = createNodeGate(onLinks);
    this.acquaintances = new Acquaintances({
      self: this.self,
      gate: this.gate,
      log: logger,
      registry: () => this.registry,
      group: () => this.group,
      connected: () => this.mesh.messenger.connected(),
    });
    this.mesh = createNodeMesh(this, { ...onLinks, identity: this.#identity, config });
    this.portMapping = portMappingOf({ platform, mesh: this.mesh }, config);
    this.registry = createNodeRegistry(this, { store, membership, onFatal });
    this.requests = new OnDemand({
      transport: this.mesh.transport,
      messenger: this.mesh.messenger,
      connector: this.mesh.connector,
      clock,
      mayLive: (peerId) => this.registry.node(peerId)?.isAlive ?? false,
    });
    const ifLost = { onReadmitted, onSetBack, lossReason };
    this.group = createNodeGroup(this, { store, membership, config, onFatal, ...ifLost });
    this.group.onFacts(this.jobCounts.onFacts);
    this.group.onFacts(this.acquaintances.onFacts);
    this.#copies = new CopiesNote({ group: this.group, keep: onCopies, onFailure: onFatal });
    this.members = new MembershipClient({ group: this.group.client, crypto, random });
    this.blobs = createNodeBlobs(this, { config, onFatal });
    this.payloads = createNodePayloads(this);
    this.outputs = new OutputStore({
      clock,
      ...(platform.archive !== undefined && { archive: platform.archive }),
    });
    const health = new WorkerHealth(clock);
    const machine = () => ({ ...platform.machine, ...health.labels() });
    const mayWork = roleAllows(this.role, 'worker');
    this.worker = createNodeWorker(this, {
      ...{ store, meshId, config, health, audit, mayWork, machine, onFatal },
    });
    this.group.onLeadership(leadingJobs(this, { onFatal }));
    this.group.onLeadership((leadership) => new Discharges(leadership, this));
    this.#announcer = new Announcer(
      {
        ...{ platform, machine },
        registry: this.registry,
        group: this.group,
        mesh: this.mesh,
        worker: this.worker,
        labels: this.labels,
        drain: this.drain,
        blobs: this.blobs,
        role: () => this.role,
        power: () => this.#power,
      },
      { name: config.name },
    );
  }

  /** As it is to be kept now. */
  get membership(): Membership {
    const { roots } = this.gate;
    const foundingRootSeed = this.#isFounded ? null : this.#membership.foundingRootSeed;
    return { ...this.#membership, foundingRootSeed, roots: roots.entries(), witnesses: roots.witnesses };
  }

  /** What this machine runs on, as of half a minute ago at most. */
  get power(): MachinePower {
    return this.#power;
  }

  get role(): Role {
    return this.acquaintances.roleOf(this.self) ?? 'observer';
  }

  async start(): Promise<void> {
    const { clock } = this.platform;
    await this.labels.load();
    await this.drain.load();
    this.#parts = [
      ...serveNode(this, { identity: this.#identity, onRoots: this.#onRoots }),
      this.drain.onChange(() => this.#announceOffer()),
      this.labels.onChange(() => this.#announceOffer()),
      this.worker.onOfferChange(() => this.#announce()),
      this.mesh.roaming.onUpheaval(() => this.#onUpheaval()),
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
    const components = endingOf(this.platform);
    await untilEnded(components, 'jobs', () => this.worker.stop(how));
    const ending = new Ending(components, ENDING_LIMIT_MS);
    await ending.step('leadership', () => this.group.handOver({ timeoutMs: HAND_OVER_MS }));
    for (const part of this.#upkeep) part[Symbol.dispose]();
    await ending.step('blobs', () => this.blobs.stop());
    await ending.step('port mapping', async () => this.portMapping?.stop());
    await ending.step('registry', () => this.registry.stop());
    await untilEnded(components, 'group', () => this.group.stop()); // the store may not be closed before
    await ending.step('mesh', () => this.mesh.stop());
    for (const part of this.#parts) part[Symbol.dispose]();
    ending.finish();
  }

  /** Makes this node the group of a new mesh. Safe to call again after a crash. */
  async found(rootSeed: Uint8Array): Promise<void> {
    await this.group.found({ rootSeed, certificate: this.#membership.certificate });
    this.#isFounded = true;
  }

  async leave({ timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    await this.worker.stop();
    const isAlone = (await this.members.countMembers()) <= 1;
    if (!isAlone) await this.group.leave({ timeoutMs });
    this.registry.withdraw();
    if (!isAlone) await this.#takeLeave();
  }

  /** Tells everybody, with a moment for it to be passed on; replicas know already. */
  async #takeLeave(): Promise<void> {
    const { crypto, directory, clock } = this.platform;
    const certificate = this.gate.certificateOf(this.self);
    if (certificate === undefined) return;
    const { peerId, signature: certificateSignature } = certificate;
    const departure = { meshId: this.#membership.meshId, peerId, certificateSignature };
    const bytes = signDeparture({ crypto, seed: directory.seed }, departure);
    this.registry.bulletins.add(DEPARTURES, departureKey(departure), bytes);
    await sleep(clock, LEAVE_TAKING_MS);
  }

  inventory(): Promise<Inventory> {
    return takeInventory(this.group.client, this.members);
  }

  #announce(): void {
    this.#copies.note();
    this.#announcer.announce();
  }

  /** Where jobs may be placed has changed: everybody is told, and the leader at once. */
  #announceOffer(): void {
    this.#announce();
    this.group.session.poke();
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
    for (const peerId of this.acquaintances.deciders()) {
      if (peerId === this.self || this.mesh.transport.isLinked(peerId)) continue;
      this.mesh.connector
        .connect(peerId)
        .catch((err: unknown) => this.platform.logger.debug({ err, peerId }, 'voter not linked'));
    }
  }
}
