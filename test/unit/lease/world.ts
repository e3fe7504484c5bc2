import { type Logger, type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import {
  createGroup,
  type Group,
  type GroupComponents,
  type GroupOptions,
} from '../../../src/lease/index.ts';
import type { MachineModule } from '../../../src/lease/machine/index.ts';
import {
  createIdentity,
  encodeCertificate,
  type Gate,
  type Identity,
  MemoryNetwork,
  MemoryTransport,
  meshIdOf,
  type Role,
  secretHash,
  signCertificate,
  TransportMessenger,
} from '../../../src/mesh/index.ts';
import { MemoryStore, type Store } from '../../../src/storage/index.ts';
import { ManualClock } from './manual-clock.ts';

function collectingLogger(said: string[]): Logger {
  const say = (_fields: object, message: string) => void said.push(message);
  const logger: Logger = { debug: say, info: say, warn: say, error: say, child: () => logger };
  return logger;
}

const EVERYBODY: Gate = {
  standingOf: () => 'member',
  onChange: () => ({ [Symbol.dispose]: () => undefined }),
};

export interface Node {
  readonly identity: Identity;
  readonly peerId: PeerId;
  readonly store: Store;
  readonly transport: MemoryTransport;
  readonly messenger: TransportMessenger;
  readonly group: Group;
  readonly fatal: unknown[];
  /** Phrases that its parts logged. */
  readonly said: string[];
}

/** Several nodes on one network in memory, all linked to each other, with the clock in the test's hand. */
export class World {
  readonly clock = new ManualClock();
  readonly crypto = new OsCrypto();
  readonly random = new SeededRandom(7);
  readonly rootSeed = this.random.bytes(32);
  readonly nodes: Node[] = [];
  /** Sent by anybody to anybody. */
  messageCount = 0;
  readonly #cut = new Set<PeerId>();
  readonly network = new MemoryNetwork({
    clock: this.clock,
    policy: {
      deliveries: (from, to) => {
        this.messageCount += 1;
        return this.#isCut(from, to) ? [] : [1];
      },
      isReachable: (from, to) => !this.#isCut(from, to),
    },
  });
  readonly #options: Partial<GroupOptions>;
  readonly #modules: readonly MachineModule[];

  constructor(options: Partial<GroupOptions> = {}, modules: readonly MachineModule[] = []) {
    this.#options = options;
    this.#modules = modules;
  }

  get meshId() {
    return meshIdOf(this.crypto, this.crypto.signingPublicKey(this.rootSeed));
  }

  async addNode(store: Store = new MemoryStore()): Promise<Node> {
    return this.#start(createIdentity(this.crypto, this.random.bytes(32)), store);
  }

  /** As a process that was killed and started again on the same disk, or on what was put in its place. */
  async restart(
    node: Node,
    store: Store = node.store,
    life: Partial<Pick<GroupComponents, 'incarnation' | 'bootCount'>> = {},
  ): Promise<Node> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    return this.#start(node.identity, store, life);
  }

  /** As a node whose disk was lost: the same identity, a new incarnation, nothing remembered. */
  async forget(node: Node, onReadmitted: () => Promise<void> = async () => undefined): Promise<Node> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    return this.#start(node.identity, new MemoryStore(), { incarnation: 'again', onReadmitted });
  }

  /** Ends without a word. */
  async kill(node: Node): Promise<void> {
    node.transport.crash();
    await this.clock.until(node.group.stop());
  }

  isolate(node: Node): void {
    this.#cut.add(node.peerId);
  }

  async heal(): Promise<void> {
    this.#cut.clear();
    await this.link();
  }

  async link(): Promise<void> {
    for (const from of this.nodes) {
      for (const to of this.nodes) {
        if (from === to || from.transport.isLinked(to.peerId)) continue;
        if (this.#isCut(from.peerId, to.peerId)) continue;
        await this.clock.until(
          from.transport.dial(to.peerId, to.transport.addresses()).catch(() => undefined),
        );
      }
    }
  }

  async found(node: Node): Promise<void> {
    await this.clock.until(
      node.group.found({ rootSeed: this.rootSeed, certificate: this.certificateOf(node.identity) }),
    );
  }

  /** Brings a newcomer in as a joiner is: by a ticket, redeemed at the leader. */
  async admit({ identity }: Node, role: Role = 'voter'): Promise<void> {
    const { client } = this.leader().group;
    const secret = this.random.bytes(16);
    const grant = { role, ttlMs: 60_000, uses: 1, secretHash: secretHash(this.crypto, secret) };
    const { id: ticketId } = await this.clock.until(
      client.askLeader<{ id: string }>('members/create-ticket', grant),
    );
    const { peerId, sealingKey } = identity;
    await this.clock.until(client.askLeader('members/redeem', { ticketId, secret, peerId, sealingKey }));
  }

  certificateOf({ peerId, sealingKey }: Identity): Uint8Array {
    const facts = { peerId, role: 'voter', sealingKey, issuedAtMs: 1, ticketId: null } as const;
    return encodeCertificate(signCertificate({ crypto: this.crypto, rootSeed: this.rootSeed }, facts));
  }

  leader(): Node {
    const leader = this.nodes.find(({ group }) => group.leadership !== undefined);
    if (leader === undefined) throw new Error('nobody leads');
    return leader;
  }

  async untilTrue(what: string, isTrue: () => boolean, mostMs = 60_000): Promise<void> {
    for (let spentMs = 0; !isTrue(); spentMs += 20) {
      if (spentMs > mostMs) throw new Error(`not within ${mostMs} ms: ${what}`);
      await this.clock.advance(20);
    }
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) {
      await this.clock.until(node.group.stop());
      node.transport.crash();
    }
  }

  async #start(
    identity: Identity,
    store: Store,
    memory: Partial<Pick<GroupComponents, 'incarnation' | 'bootCount' | 'onReadmitted'>> = {},
  ): Promise<Node> {
    const { clock, crypto } = this;
    const random = this.random.fork();
    const transport = new MemoryTransport(
      { network: this.network, gate: EVERYBODY },
      { self: identity.peerId },
    );
    await transport.start();
    const messenger = new TransportMessenger({ transport, clock, random, log: silentLogger });
    const fatal: unknown[] = [];
    const said: string[] = [];
    const group = createGroup(
      {
        self: identity.peerId,
        incarnation: 'inc',
        identitySeed: identity.seed,
        crypto,
        store,
        messenger,
        clock,
        random,
        log: collectingLogger(said),
        modules: this.#modules,
        meshId: this.meshId,
        onFatal: (error) => void fatal.push(error),
        ...memory,
      },
      this.#options,
    );
    const node = { identity, peerId: identity.peerId, store, transport, messenger, group, fatal, said };
    this.nodes.push(node);
    await group.start();
    await this.link();
    return node;
  }

  #isCut(from: PeerId, to: PeerId): boolean {
    return this.#cut.has(from) || this.#cut.has(to);
  }
}
