import assert from 'node:assert/strict';
import { type PeerId, silentLogger } from '../../../src/base/index.ts';
import { CandidateBook } from '../../../src/discovery/index.ts';
import type { Mesh, Messenger, PeerLink } from '../../../src/mesh/index.ts';
import { LinkKeeper } from '../../../src/mesh/link-keeper.ts';
import { LINK_LINGER_MS, LINKS_KEPT } from '../../../src/mesh/link-rules.ts';
import { contactOf, Village } from './nodes.ts';
import { identityOf, ManualClock } from './support.ts';

const MEMBERS = 36;
const people = Array.from({ length: MEMBERS }, (_, at) => identityOf(at + 1));
const alive = (peerId: PeerId) => ({ peerId, isAlive: true, rttMs: undefined, addresses: ['/memory/x'] });

describe('links of a node in a large mesh', () => {
  let village: Village;
  let nodes: Mesh[];
  beforeEach(async () => {
    village = new Village();
    nodes = [];
    for (const identity of people) {
      const contacts = nodes.slice(0, 1).map(contactOf);
      const others = people.filter(({ peerId }) => peerId !== identity.peerId);
      const linkable = () => others.map(({ peerId }) => alive(peerId));
      nodes.push(await village.node(identity, { contacts, linkable }));
    }
    for (const node of nodes)
      for (const other of nodes) node.connector.consider({ ...contactOf(other), source: 'registry' });
    await village.clock.advance(3_000);
  });
  afterEach(() => village[Symbol.asyncDispose]());

  it('are made with some of the others only, and with whoever is asked for by name (L4)', async () => {
    const counts = nodes.map(({ transport }) => transport.links().length);
    assert.ok(Math.min(...counts) >= 8, counts.join());
    const total = counts.reduce((sum, count) => sum + count, 0);
    assert.ok(total <= (MEMBERS * (MEMBERS - 1)) / 1.4, `${total} ends of links`);
    const node = nodes.find(({ transport }) => transport.links().length < MEMBERS - 1) as Mesh;
    const other = nodes.find(({ self }) => self !== node.self && !node.transport.isLinked(self)) as Mesh;
    await village.settled(node.connector.connect(other.self));
    assert.ok(node.transport.isLinked(other.self));
  });
});

/** A keeper of links that nobody is at the other end of. */
class Lonely {
  readonly clock = new ManualClock();
  readonly links = new Map<PeerId, PeerLink>();
  readonly told: PeerId[] = [];
  readonly needed = new Map<PeerId, number>();
  readonly considered = new Set<PeerId>();
  isHub = false;
  hear: (from: PeerId) => void = () => undefined;
  readonly members = Array.from({ length: 200 }, (_, at) => `peer-${at}` as PeerId);
  readonly keeper = new LinkKeeper({
    transport: {
      self: 'peer-self' as PeerId,
      links: () => [...this.links.values()],
      hangUp: (peerId) => this.links.delete(peerId),
    },
    messenger: {
      handle: (_method, handler: Parameters<Messenger['handle']>[1]) => {
        this.hear = (from) => void handler({ from, body: null });
        return { [Symbol.dispose]: () => undefined };
      },
      send: (to) => this.told.push(to) > 0,
    },
    connector: () => ({
      neededAtMs: (peerId) => this.needed.get(peerId),
      book: new CandidateBook(),
      consider: ({ peerId }) => this.considered.add(peerId),
    }),
    members: () => this.members.map(alive),
    pinned: () => new Set(),
    isHub: () => this.isHub,
    clock: this.clock,
    log: silentLogger,
  });

  link(peerId: PeerId, bytesIn = 0): void {
    this.links.set(peerId, { peerId, address: '/memory/x', path: 'direct', rttMs: 1, since: 0, bytesIn });
  }
}

describe('a node with too many links', () => {
  let lonely: Lonely;
  beforeEach(async () => {
    lonely = new Lonely();
    for (const peerId of lonely.members.slice(0, 100)) lonely.link(peerId);
    await lonely.keeper.start();
  });
  afterEach(() => lonely.keeper.stop());

  it('lets them go little by little, with a word before', async () => {
    await lonely.clock.advance(LINK_LINGER_MS);
    assert.equal(lonely.links.size, 100);
    await lonely.clock.advance(20_000);
    assert.ok(lonely.links.size > 60, `${lonely.links.size}`);
    await lonely.clock.advance(300_000);
    assert.equal(lonely.links.size, LINKS_KEPT);
    assert.equal(lonely.told.length, 100 - LINKS_KEPT);
    for (const peerId of lonely.told) assert.ok(!lonely.links.has(peerId));
  });

  it('has those tried that it wants and is not linked with', async () => {
    for (const peerId of lonely.members.slice(0, 100)) lonely.links.delete(peerId);
    await lonely.clock.advance(10_000);
    assert.ok(lonely.considered.size >= 8 && lonely.considered.size <= 24, `${lonely.considered.size}`);
    for (const peerId of lonely.considered) assert.ok(lonely.keeper.wants(peerId));
  });

  it('keeps those that were asked for, or carry much', async () => {
    await lonely.clock.advance(LINK_LINGER_MS);
    const [asked, busy] = lonely.members.filter((peerId) => !lonely.keeper.wants(peerId)) as [PeerId, PeerId];
    for (let step = 1; step <= 100; step += 1) {
      lonely.needed.set(asked, lonely.clock.monotonicMs());
      lonely.link(busy, step * 2 ** 20);
      await lonely.clock.advance(5_000);
    }
    assert.equal(lonely.links.size, LINKS_KEPT);
    assert.ok(lonely.links.has(asked) && lonely.links.has(busy));
  });

  it('keeps all while others need it: it votes, or carries circuits', async () => {
    lonely.isHub = true;
    await lonely.clock.advance(600_000);
    assert.equal(lonely.links.size, 100);
  });

  it('knows for a while that a peer has let its link go', async () => {
    const [peerId] = lonely.members as [PeerId];
    assert.ok(!lonely.keeper.hasParted(peerId));
    lonely.hear(peerId);
    assert.ok(lonely.keeper.hasParted(peerId));
    await lonely.clock.advance(60_000);
    assert.ok(!lonely.keeper.hasParted(peerId));
  });
});
