import {
  AspenError,
  estimateRttMs,
  type MeshId,
  type PeerId,
  SeededRandom,
  silentLogger,
} from '../src/base/index.ts';
import { createRegistry, type Registry } from '../src/crdt/index.ts';
import { KnownPeers, TicketSource } from '../src/discovery/index.ts';
import { groupMethod } from '../src/lease/call-errors.ts';
import { MAIN_GROUP } from '../src/lease/index.ts';
import { SessionHolder } from '../src/lease/session-holder.ts';
import {
  createIdentity,
  decodeTicket,
  type GateMemory,
  type Identity,
  MembershipGate,
  MemoryTransport,
  Mesh,
  publicKeyOf,
} from '../src/mesh/index.ts';
import { Scheduler, SimClock, SimProcess } from '../test/sim/ground/index.ts';
import { addressOf } from '../test/sim/world/neighbours-source.ts';
import { SimCrypto } from '../test/sim/world/sim-crypto.ts';
import { SimMachine } from '../test/sim/world/sim-machine.ts';
import { SimNode } from '../test/sim/world/sim-node.ts';
import { SimReceiver } from '../test/sim/world/sim-receiver.ts';
import { WorldWire } from '../test/sim/world/world-wire.ts';
import { ForgetfulStore } from './forgetful-store.ts';
import { SharedReaders } from './shared-readers.ts';

/** One way, as in a network of one region. Unit: ms. */
const LEAST_DELAY_MS = 1;
const DELAY_SPREAD_MS = 9;
/** As gossipsub does by default. */
const GOSSIP_FANOUT = 6;
/** Pings cost a real node next to nothing and a simulation most of its time. */
const KEEPALIVE = { keepaliveMs: 2_500, deadAfterMs: 5_000 };
const STEP_MS = 50;
const READY_CAP_MS = 60_000;
const EVENTS_LIMIT = 1_000_000_000;

interface Traffic {
  bytes: number;
  messages: number;
}

export interface Observed {
  /** Of each node but the leader. */
  readonly bytesPerSecond: readonly number[];
  readonly messagesPerSecond: readonly number[];
  readonly leader: {
    readonly bytesPerSecond: number;
    readonly messagesPerSecond: number;
    readonly cpuShare: number;
  };
}

/** All of an agent that membership costs: it does not vote and runs no jobs. */
interface SizedNode {
  readonly self: PeerId;
  readonly process: SimProcess;
  readonly mesh: Mesh;
  readonly registry: Registry;
  readonly session: SessionHolder;
}

/** One whole agent that leads, and any number of nodes that are members. */
export class SizedMesh {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #crypto = new SimCrypto();
  readonly #readers = new SharedReaders();
  readonly #verify = this.#readers.verifier((...signed) => this.#crypto.verify(...signed), publicKeyOf);
  readonly #wire: WorldWire;
  readonly #traffic = new Map<PeerId, Traffic>();
  readonly #nodes: SizedNode[] = [];
  readonly #founder: SimNode;
  #leader: PeerId | undefined;
  #meshId = '' as MeshId;
  /** Whose event runs now, and the real time that events of the leader took. */
  #isLeadersTurn = false;
  #turnBegunMs = 0;
  #leaderCpuMs = 0;
  #isObserving = false;
  #failure: unknown;
  /** Who did not know whom when it was last asked: most likely it still does not. */
  #lack: { readonly registry: Registry; readonly peerId: PeerId } | undefined;

  constructor(seed: number) {
    this.#scheduler = new Scheduler(seed);
    this.#random = new SeededRandom(seed);
    this.#scheduler.observeEvents(({ label }) => this.#turn(label.startsWith('leader ')));
    this.#wire = this.#makeWire();
    this.#founder = this.#makeFounder();
  }

  async found(): Promise<void> {
    this.#founder.start();
    await this.#must(() => this.#founder.isReady, 'the founder is ready');
    this.#leader = this.#founder.peerId;
    this.#meshId = this.#founder.daemon.node.gate.meshId as MeshId;
  }

  /** Starts so many more nodes, one after the other, each with a certificate by a ticket. */
  async grow(count: number, perSecond: number): Promise<void> {
    const { ticket } = await this.#settled(
      this.#founder.call('mesh.ticket', { uses: Math.max(1, count), role: 'worker' }),
    );
    const { id: ticketId, secret } = decodeTicket(this.#crypto, ticket);
    const starts: Promise<void>[] = [];
    for (let at = 0; at < count; at += 1) {
      starts.push(this.#startOne({ ticketId, secret }));
      if (at + 1 < count) await this.advance(1_000 / perSecond);
    }
    await this.#settled(Promise.all(starts));
  }

  async #startOne(redeemed: { readonly ticketId: string; readonly secret: Uint8Array }): Promise<void> {
    const identity = createIdentity(this.#crypto, this.#random.bytes(32));
    const { peerId, sealingKey } = identity;
    const certificate = await this.#founder.daemon.node.members.redeem({ ...redeemed, peerId, sealingKey });
    const node = this.#makeNode(identity, certificate);
    this.#nodes.push(node);
    await startOf(node);
  }

  async advance(forMs: number): Promise<void> {
    await this.#scheduler.run({ untilMs: this.#scheduler.nowMs + forMs, maxEvents: EVENTS_LIMIT });
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @returns how long it took; undefined when it did not come true in time. Unit: ms. */
  async until(isTrue: () => boolean, limitMs: number): Promise<number | undefined> {
    const begunMs = this.#scheduler.nowMs;
    while (!isTrue()) {
      if (this.#scheduler.nowMs - begunMs >= limitMs) return undefined;
      await this.advance(STEP_MS);
    }
    return this.#scheduler.nowMs - begunMs;
  }

  /** Whether everybody takes everybody for alive. */
  isComplete(): boolean {
    if (this.#lack !== undefined && !isAliveTo(this.#lack.registry, this.#lack.peerId)) return false;
    const all = [...this.#nodes.map(({ self }) => self), this.#leader as PeerId];
    this.#lack = undefined;
    for (const registry of this.#registries()) {
      const peerId = all.find((one) => !isAliveTo(registry, one));
      if (peerId === undefined) continue;
      this.#lack = { registry, peerId };
      return false;
    }
    return true;
  }

  isMissedEverywhere(peerId: PeerId): boolean {
    return this.#registries().every((registry) => registry.node(peerId)?.isAlive === false);
  }

  /** Nodes that hold a session with the leader. */
  sessionCount(): number {
    return this.#nodes.filter(({ session }) => session.sessionId !== null).length;
  }

  linkCounts(): number[] {
    return this.#nodes.map(({ mesh }) => mesh.transport.links().length);
  }

  async observe(forMs: number): Promise<Observed> {
    this.#traffic.clear();
    this.#leaderCpuMs = 0;
    this.#isLeadersTurn = false;
    this.#isObserving = true;
    await this.advance(forMs);
    this.#isObserving = false;
    const seconds = forMs / 1_000;
    const of = (peerId: PeerId) => {
      const { bytes, messages } = this.#traffic.get(peerId) ?? { bytes: 0, messages: 0 };
      return { bytesPerSecond: bytes / seconds, messagesPerSecond: messages / seconds };
    };
    const each = this.#nodes.map(({ self }) => of(self));
    return {
      bytesPerSecond: each.map(({ bytesPerSecond }) => bytesPerSecond),
      messagesPerSecond: each.map(({ messagesPerSecond }) => messagesPerSecond),
      leader: { ...of(this.#leader as PeerId), cpuShare: this.#leaderCpuMs / forMs },
    };
  }

  /** Nobody renews its session any more. */
  endSessions(): void {
    for (const { session } of this.#nodes) this.#mustSettle(session.stop());
  }

  /** Ends one without a word. */
  crashOne(): PeerId {
    const lost = this.#nodes.pop() as SizedNode;
    (lost.mesh.transport as MemoryTransport).crash();
    lost.process.crash();
    return lost.self;
  }

  #registries(): Registry[] {
    return [this.#founder.daemon.node.registry, ...this.#nodes.map(({ registry }) => registry)];
  }

  #turn(isLeaders: boolean): void {
    if (!this.#isObserving) return;
    if (this.#isLeadersTurn) this.#leaderCpuMs += cpuMs() - this.#turnBegunMs;
    if (isLeaders) this.#turnBegunMs = cpuMs();
    this.#isLeadersTurn = isLeaders;
  }

  #makeWire(): WorldWire {
    const scheduler = this.#scheduler;
    const enter = (to: PeerId, arrive: () => void) => {
      if (to === this.#leader) this.#turn(true);
      arrive();
    };
    return new WorldWire(enter, {
      clock: {
        monotonicMs: () => scheduler.nowMs,
        wallMs: () => scheduler.nowMs,
        setTimer: (afterMs, callback) => {
          const { cancel } = scheduler.after(afterMs, callback, 'arrival');
          return { cancel, [Symbol.dispose]: cancel };
        },
      },
      policy: {
        deliveries: (from, _to, bytes) => {
          const traffic = this.#traffic.get(from) ?? { bytes: 0, messages: 0 };
          this.#traffic.set(from, traffic);
          traffic.bytes += bytes;
          traffic.messages += 1;
          return [LEAST_DELAY_MS + (DELAY_SPREAD_MS * this.#random.uint32()) / 2 ** 32];
        },
        isReachable: () => true,
      },
    });
  }

  #makeFounder(): SimNode {
    const machine = new SimMachine(
      {
        scheduler: this.#scheduler,
        wire: this.#wire,
        random: this.#random.fork(),
        neighbours: () => [],
        logger: () => silentLogger,
        trial: {},
        receiver: new SimReceiver(),
        runs: () => ({ runs: () => undefined, stopped: () => undefined }),
        forgetsHeld: false,
      },
      { name: 'leader', clock: {}, disk: {} },
    );
    const failed = (_node: SimNode, error: unknown) => {
      this.#failure = error;
    };
    return new SimNode({ machine, witness: { started: () => undefined, failed } }, { voters: 1, slots: 4 });
  }

  #makeNode(identity: Identity, certificate: Uint8Array): SizedNode {
    const { peerId: self } = identity;
    const crypto = this.#crypto;
    const log = silentLogger;
    const process = new SimProcess({ name: self.slice(-8), scheduler: this.#scheduler });
    const clock = new SimClock(process);
    const random = this.#random.fork();
    const leader = this.#leader as PeerId;
    const onFailure = (error: unknown) => {
      this.#failure = error;
    };
    const gate = new MembershipGate(
      { crypto, memory: FORGOTTEN, log, readCertificate: this.#readers.certificate },
      { meshId: this.#meshId },
    );
    gate.admit(certificate);
    const transport = new MemoryTransport(
      { network: this.#wire, gate },
      { self, addresses: [addressOf(self)], gossipFanout: GOSSIP_FANOUT, ...KEEPALIVE },
    );
    const others = () => registry.nodes().filter(({ peerId }) => peerId !== self);
    const mesh: Mesh = new Mesh({
      transport,
      gate,
      sources: [new TicketSource([{ peerId: leader, addresses: [addressOf(leader)] }])],
      knownPeers: new KnownPeers({ memory: { load: () => [], save: () => undefined }, clock }),
      redeem: () => Promise.reject(new AspenError('DENIED', 'only the leader redeems here')),
      members: () =>
        others().map(({ peerId, profile }) => ({ peerId, addresses: profile.addresses, isRelay: false })),
      linkable: () =>
        others().map(({ peerId, isAlive, coordinate, profile }) => ({
          addresses: profile.addresses,
          peerId,
          isAlive,
          rttMs: coordinate && estimateRttMs(registry.coordinate, coordinate),
        })),
      pinned: () => new Set([leader]),
      clock,
      crypto,
      random,
      log,
    });
    const registry: Registry = createRegistry(
      {
        self,
        incarnation: `life-${self.slice(-8)}`,
        sign: (bytes) => crypto.sign(identity.seed, bytes),
        verify: (peerId, bytes, signature) =>
          gate.standingOf(peerId) === 'member' && this.#verify(peerId, bytes, signature),
        certificate: () => certificate,
        onCertificate: (_owner, told) => void gate.admit(told),
        clock,
        random,
        store: new ForgetfulStore(),
        readers: this.#readers,
        gossip: transport.gossip,
        messenger: mesh.messenger,
        logger: log,
        links: () => transport.links(),
        hasParted: (peerId) => mesh.links.hasParted(peerId),
        probe: (peerId, signal) => mesh.connector.connect(peerId, signal),
        onFailure,
      },
      { scope: this.#meshId },
    );
    registry.announce({
      name: self.slice(-8),
      labels: { zone: 'eu-1', rack: 'r17' },
      version: '0.1.0',
      role: 'worker',
      addresses: [addressOf(self)],
      types: ['echo', 'shell', 'http', 'wasm'],
      slots: 4,
      groupRole: 'spare',
      startedAtMs: clock.wallMs(),
      startCount: 1,
      machine: { os: 'linux', arch: 'x64', cpus: '2', memory: '25253412864', node: 'v24.21.0' },
    });
    const askLeader = <R>(method: string, body: unknown, { timeoutMs = 5_000 } = {}) =>
      mesh.messenger.request(
        leader,
        groupMethod(MAIN_GROUP, 'ask'),
        { method, body },
        { timeoutMs },
      ) as Promise<R>;
    const session = new SessionHolder(
      { client: { askLeader }, clock, log, onFailure },
      { incarnation: `life-${self.slice(-8)}` },
    );
    session.setReporter(() => ({
      labels: { zone: 'eu-1', rack: 'r17', os: 'linux', arch: 'x64' },
      types: ['echo', 'shell', 'http', 'wasm'],
      slots: 4,
      isDraining: false,
      pools: [],
      attempts: [],
    }));
    return { self, process, mesh, registry, session };
  }

  async #settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.#must(() => isSettled, 'an answer');
    return promise;
  }

  async #must(isTrue: () => boolean, what: string): Promise<void> {
    if ((await this.until(isTrue, READY_CAP_MS)) === undefined) throw new Error(`not in time: ${what}`);
  }

  #mustSettle(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#failure = error;
    });
  }
}

async function startOf({ mesh, registry, session }: SizedNode): Promise<void> {
  await mesh.start();
  await registry.start();
  await session.start();
}

/** What a gate has learnt outlives no node here. */
const FORGOTTEN: GateMemory = {
  load: () => ({ certificates: [], revocations: [] }),
  saveRootList: () => undefined,
  saveCertificate: () => undefined,
  saveRevocation: () => undefined,
  forgetCertificate: () => undefined,
};

function isAliveTo(registry: Registry, peerId: PeerId): boolean {
  return registry.node(peerId)?.isAlive === true;
}

/** Of this thread, so that other work on the machine does not count. Unit: ms. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
