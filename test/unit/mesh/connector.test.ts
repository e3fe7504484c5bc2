import assert from 'node:assert/strict';
import { encode } from '../../../src/base/index.ts';
import { encodeRevocation, type Mesh, signRevocation, VolatileGateMemory } from '../../../src/mesh/index.ts';
import { contactOf, Village, VolatileKnownPeers } from './nodes.ts';
import { crypto, identityOf, rootSeed } from './support.ts';

const people = [1, 2, 3, 4, 5, 6].map(identityOf);
const [ada, bob, eve] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0]];

const linkCounts = (nodes: readonly Mesh[]) => nodes.map(({ transport }) => transport.links().length);
const isFull = (nodes: readonly Mesh[]) => linkCounts(nodes).every((count) => count === nodes.length - 1);

describe('connector', () => {
  let village: Village;
  beforeEach(() => {
    village = new Village();
  });
  afterEach(() => village[Symbol.asyncDispose]());

  it('links everybody with everybody, though each was told of one member only', async () => {
    const first = await village.node(ada);
    const nodes = [first];
    for (const identity of people.slice(1))
      nodes.push(await village.node(identity, { contacts: [contactOf(first)] }));
    const tookMs = await village.until(() => isFull(nodes), 'the mesh is full');
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  });

  it('links again after a cut has healed', async () => {
    const left = await village.node(ada);
    const right = await village.node(bob, { contacts: [contactOf(left)] });
    await village.until(() => isFull([left, right]), 'they are linked');
    village.cut(ada.peerId, bob.peerId);
    await village.until(() => linkCounts([left, right]).join() === '0,0', 'both ends notice the cut');
    await village.clock.advance(300_000);
    village.heal();
    const tookMs = await village.until(() => isFull([left, right]), 'they are linked again');
    assert.ok(tookMs <= 10_000, `${tookMs} ms`);
  });

  it('finds its mesh without a ticket after a restart, also when one of two members has moved', async () => {
    const memories = { gateMemory: new VolatileGateMemory(), knownMemory: new VolatileKnownPeers() };
    const first = await village.node(ada);
    const second = await village.node(bob, { contacts: [contactOf(first)] });
    const third = await village.node(eve, { contacts: [contactOf(first)], ...memories });
    await village.until(() => isFull([first, second, third]), 'the mesh is full');
    await village.stop(third);
    await village.stop(second);
    const moved = await village.node(bob, { address: '/memory/elsewhere', contacts: [contactOf(first)] });
    await village.until(() => isFull([first, moved]), 'bob is back at another address');
    const back = await village.node(eve, memories);
    await village.until(() => isFull([first, moved, back]), 'eve found both');
  });

  it('remembers who dialed in by what it says of itself', async () => {
    const knownMemory = new VolatileKnownPeers();
    const first = await village.node(ada, { knownMemory });
    const second = await village.node(bob, { address: '/memory/bobs', contacts: [contactOf(first)] });
    await village.until(() => isFull([first, second]), 'they are linked');
    await village.until(() => knownMemory.saved.length === 1, 'bob is remembered');
    assert.deepEqual(knownMemory.saved[0]?.addresses, ['/memory/bobs']);
  });

  it('tries one that is not there ever more rarely, and at once when it is told of anew', async () => {
    const left = await village.node(ada, {
      contacts: [{ peerId: bob.peerId, addresses: ['/memory/later'] }],
    });
    await village.clock.advance(600_000);
    const right = await village.node(bob, { address: '/memory/later' });
    left.connector.consider({ peerId: bob.peerId, addresses: ['/memory/later'], source: 'mdns' });
    const tookMs = await village.until(() => isFull([left, right]), 'they are linked');
    assert.ok(tookMs < 500, `${tookMs} ms`);
  });

  it('never dials itself or a revoked peer', async () => {
    const left = await village.node(ada);
    const right = await village.node(bob, { contacts: [contactOf(left)] });
    await village.until(() => isFull([left, right]), 'they are linked');
    left.gate.revoke(
      encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId: bob.peerId, issuedAtMs: 1 })),
    );
    await village.clock.advance(120_000);
    left.connector.consider({ ...contactOf(right), source: 'mdns' });
    left.connector.consider({ ...contactOf(left), source: 'mdns' });
    await village.clock.advance(1_000);
    assert.deepEqual(linkCounts([left, right]), [0, 0]);
    assert.deepEqual(left.connector.book.peers(), []);
  });

  it('stops dialing at its limit of links, unless it is asked for one', async () => {
    const others: Mesh[] = [];
    for (const identity of people.slice(1, 4)) others.push(await village.node(identity, { linksLimit: 1 }));
    const node = await village.node(ada, { linksLimit: 1, contacts: others.map(contactOf) });
    await village.clock.advance(10_000);
    assert.equal(node.transport.links().length, 1);
    const unlinked = others.find(({ self }) => !node.transport.isLinked(self)) as Mesh;
    await village.settled(node.connector.connect(unlinked.self));
    assert.ok(node.transport.isLinked(unlinked.self));
  });

  it('L3 takes the relay of a circuit for a candidate too', async () => {
    const relay = await village.node(eve);
    const circuit = `${relay.transport.addresses()[0]}/p2p/${eve.peerId}/p2p-circuit`;
    const node = await village.node(ada, { contacts: [{ peerId: bob.peerId, addresses: [circuit] }] });
    await village.until(() => node.transport.isLinked(eve.peerId), 'the relay is linked');
    assert.ok(!node.transport.isLinked(bob.peerId));
  });

  it('believes no malformed list of peers', async () => {
    const left = await village.node(ada);
    const right = await village.node(bob, { contacts: [contactOf(left)] });
    await village.until(() => isFull([left, right]), 'they are linked');
    const lists = [
      7,
      [[eve.peerId]],
      [['nobody', []]],
      [[eve.peerId, ['not an address']]],
      [[eve.peerId, [1]]],
    ];
    for (const list of lists) right.messenger.send(ada.peerId, 'mesh.peers', list);
    right.transport.send(ada.peerId, encode([3, 'mesh.peers', null]), 'control');
    await village.clock.advance(100);
    assert.ok(!left.connector.book.peers().includes(eve.peerId));
    assert.ok(isFull([left, right]));
  });
});
