import { type Clock, type PeerId, type Random, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import type { NodeProfile } from '../../../src/crdt/index.ts';
import { createRegistry, type Registry, type RegistryOptions } from '../../../src/crdt/index.ts';
import {
  createIdentity,
  type Gate,
  type Identity,
  MemoryNetwork,
  MemoryTransport,
  type NetworkPolicy,
  publicKeyOf,
  TransportMessenger,
} from '../../../src/mesh/index.ts';
import { MemoryStore, type Store } from '../../../src/storage/index.ts';
import { ManualClock } from '../mesh/support.ts';

export const crypto = new OsCrypto();

const EVERYBODY: Gate = {
  standingOf: () => 'member',
  onChange: () => ({ [Symbol.dispose]: () => undefined }),
};

export function identityOf(number: number): Identity & { readonly seed: Uint8Array } {
  const seed = new SeededRandom(number).bytes(32);
  return { ...createIdentity(crypto, seed), seed };
}

export function verifyBy(peerId: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  return crypto.verify(publicKeyOf(peerId), bytes, signature);
}

export function profileOf(name: string, facts: Partial<NodeProfile> = {}): NodeProfile {
  return {
    name,
    labels: { zone: 'eu' },
    version: '0.1.0',
    role: 'voter',
    addresses: [`/memory/${name}`],
    types: ['shell', 'echo'],
    slots: 16,
    groupRole: 'spare',
    ...facts,
  };
}

/** The world's time, with a wall clock that is off. */
export class SkewedClock implements Clock {
  readonly #clock: Clock;
  offsetMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  monotonicMs = () => this.#clock.monotonicMs();
  wallMs = () => this.#clock.wallMs() + this.offsetMs;
  setTimer: Clock['setTimer'] = (afterMs, callback) => this.#clock.setTimer(afterMs, callback);
}

export interface Node {
  readonly name: string;
  readonly peerId: PeerId;
  readonly clock: SkewedClock;
  readonly transport: MemoryTransport;
  readonly messenger: TransportMessenger;
  readonly registry: Registry;
  readonly store: Store;
  stop(): Promise<void>;
}

export interface NodeFacts {
  readonly store?: Store;
  readonly skewMs?: number;
  readonly options?: RegistryOptions;
  /** Signs with another key than its own. */
  readonly isForger?: boolean;
  /** Whom it takes for members; it learns of more by what they tell to prove themselves. @default everybody */
  readonly knows?: Set<PeerId>;
}

/** Registries on one simulated network, whose clock the test moves. */
export class World {
  readonly clock = new ManualClock();
  readonly revoked = new Set<PeerId>();
  readonly nodes: Node[] = [];
  /** Whether frames and gossip arrive. */
  isGossipLost = false;
  readonly cut = new Set<string>();
  readonly random: Random = new SeededRandom(1);
  readonly #network: MemoryNetwork;

  constructor() {
    const policy: NetworkPolicy = {
      deliveries: (from, to) => (this.#isCut(from, to) ? [] : [1]),
      isReachable: (from, to) => !this.#isCut(from, to),
    };
    this.#network = new MemoryNetwork({ clock: this.clock, policy });
  }

  async node(
    number: number,
    { store = new MemoryStore(), skewMs = 0, options, isForger, knows }: NodeFacts = {},
  ): Promise<Node> {
    const name = `node-${number}`;
    const identity = identityOf(number);
    const seed = isForger === true ? identityOf(number + 1_000).seed : identity.seed;
    const clock = new SkewedClock(this.clock);
    clock.offsetMs = skewMs;
    const transport = new MemoryTransport(
      { network: this.#network, gate: EVERYBODY },
      { self: identity.peerId },
    );
    await transport.start();
    const random = new SeededRandom(number);
    const messenger = new TransportMessenger({ transport, clock, random, log: silentLogger });
    const { gossip } = transport;
    const registry = createRegistry(
      {
        self: identity.peerId,
        incarnation: `life-${number}`,
        sign: (bytes) => crypto.sign(seed, bytes),
        verify: (peerId, bytes, signature) =>
          !this.revoked.has(peerId) && knows?.has(peerId) !== false && verifyBy(peerId, bytes, signature),
        certificate: () => Buffer.from(`proof of ${identity.peerId}`),
        onCertificate: (owner, proof) => {
          if (Buffer.from(proof).toString() === `proof of ${owner}`) knows?.add(owner);
        },
        clock,
        random,
        store,
        gossip: {
          publish: (topic, message) => {
            if (!this.isGossipLost) gossip.publish(topic, message);
          },
          subscribe: gossip.subscribe,
        },
        messenger,
        logger: silentLogger,
        links: () => transport.links(),
        probe: (peerId) => transport.dial(peerId, [`/memory/${peerId}`]),
        bulletinVerifiers: { revocation: (key, bytes) => Buffer.from(bytes).toString() === `revoke ${key}` },
        onFailure: (error) => {
          throw error;
        },
      },
      options,
    );
    registry.announce(profileOf(name));
    await registry.start();
    const stop = async () => {
      await registry.stop();
      messenger[Symbol.dispose]();
      await transport.stop();
      this.nodes.splice(this.nodes.indexOf(node), 1);
    };
    const node: Node = { name, peerId: identity.peerId, clock, transport, messenger, registry, store, stop };
    this.nodes.push(node);
    return node;
  }

  async mesh(count: number, facts?: NodeFacts): Promise<Node[]> {
    const nodes: Node[] = [];
    for (let number = 1; number <= count; number += 1) nodes.push(await this.node(number, facts));
    await this.linkAll();
    await this.advance(3_000);
    return nodes;
  }

  async linkAll(): Promise<void> {
    const dials = this.nodes.flatMap((from, at) =>
      this.nodes.slice(at + 1).map((to) => from.transport.dial(to.peerId, [`/memory/${to.peerId}`])),
    );
    const all = Promise.allSettled(dials);
    await this.advance(100);
    await all;
  }

  advance(byMs: number): Promise<void> {
    return this.clock.advance(byMs);
  }

  async stop(): Promise<void> {
    const stopping = [...this.nodes].map((node) => node.stop());
    await this.advance(100);
    await Promise.all(stopping);
  }

  #isCut(from: PeerId, to: PeerId): boolean {
    return this.cut.has(from) || this.cut.has(to);
  }
}

export const namesOf = (node: Node) =>
  node.registry
    .nodes()
    .map(({ profile }) => profile.name)
    .toSorted();
export const aliveOf = (node: Node) =>
  node.registry
    .nodes()
    .filter(({ isAlive }) => isAlive)
    .map(({ profile }) => profile.name)
    .toSorted();
