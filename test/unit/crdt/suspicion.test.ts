import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { signedBytes, toWire } from '../../../src/crdt/entry.ts';
import { markOfPeer } from '../../../src/crdt/index.ts';
import { SUSPECTS_KEY } from '../../../src/crdt/own-entries.ts';
import {
  decodeSuspicions,
  encodeSuspicions,
  isOwnFault,
  SUSPECTORS_NEEDED,
  SUSPICIONS_LIMIT,
  SuspicionBook,
} from '../../../src/crdt/suspicion.ts';
import { encodeGossip, TOPIC } from '../../../src/crdt/wire.ts';
import { crypto, identityOf } from '../mesh/support.ts';
import { aliveOf, type Node, World } from './support.ts';

const peer = (number: number) => `12D3KooWtheNodeNamed${String(number).padStart(12, '0')}` as PeerId;
const missing = (number: number, lastSignMs: number) => ({ mark: markOfPeer(peer(number)), lastSignMs });

/** Says something in the name of the node with this number, which signs it. */
function tellAs({ peerId, transport }: Node, number: number, value: Uint8Array, wallMs: number): void {
  const entry = { owner: peerId, incarnation: 'x', key: SUSPECTS_KEY, value, wallMs, counter: 1 };
  const signature = crypto.sign(identityOf(number).seed, signedBytes({ scope: '', space: 'node' }, entry));
  for (const message of encodeGossip([['node', toWire({ ...entry, signature })]]))
    transport.gossip.publish(TOPIC, message);
}

describe('suspicion', () => {
  it('D1 is refuted by a later sign of life, and by no earlier one', () => {
    const book = new SuspicionBook();
    for (const author of [1, 2, 3]) book.hear(peer(author), [missing(9, 1_000)]);
    assert.ok(book.isMissed(peer(9), 999));
    assert.ok(book.isMissed(peer(9), 1_000));
    assert.ok(!book.isMissed(peer(9), 1_001));
  });

  it('D2 takes several authors, each of whom counts once, and nobody speaks against itself', () => {
    const book = new SuspicionBook();
    const list = Array.from({ length: SUSPICIONS_LIMIT }, () => missing(9, 1_000));
    for (let author = 1; author < SUSPECTORS_NEEDED; author += 1) book.hear(peer(author), list);
    book.hear(peer(9), list);
    assert.ok(!book.isMissed(peer(9), 1_000));
    book.hear(peer(SUSPECTORS_NEEDED), [missing(9, 1_000)]);
    assert.ok(book.isMissed(peer(9), 1_000));
  });

  it('is what the latest lists say, in whatever order they came', () => {
    const list = fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), list), { maxLength: 20 }), (told) => {
        const book = new SuspicionBook();
        const latest = new Map<number, readonly (readonly [number, number])[]>();
        for (const [author, suspicions] of told) {
          latest.set(author, suspicions);
          book.hear(
            peer(author),
            suspicions.map(([who, atMs]) => missing(who, atMs)),
          );
        }
        for (let who = 0; who <= 5; who += 1) {
          for (let signMs = 0; signMs <= 4; signMs += 1) {
            const authors = [...latest].filter(
              ([author, suspicions]) =>
                author !== who && (suspicions.findLast(([named]) => named === who)?.[1] ?? -1) >= signMs,
            );
            assert.equal(book.isMissed(peer(who), signMs), authors.length >= SUSPECTORS_NEEDED);
          }
        }
      }),
    );
  });

  it('travels bounded, and garbage is none', () => {
    const many = Array.from({ length: 40 }, (_, at) => missing(at, at));
    assert.deepEqual(decodeSuspicions(encodeSuspicions(many)), many.slice(-SUSPICIONS_LIMIT));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const read = decodeSuspicions(bytes);
        assert.ok(read === undefined || read.length <= SUSPICIONS_LIMIT);
      }),
    );
  });

  it('D4 is not for whoever lost most of its links at once', () => {
    assert.ok(isOwnFault({ lost: 10, left: 3 }));
    assert.ok(!isOwnFault({ lost: 3, left: 0 }));
    assert.ok(!isOwnFault({ lost: 4, left: 12 }));
  });
});

describe('a node that is missed', () => {
  /** Signs of life so rare that nobody is found silent by them. */
  const options = { missedFrom: 0, heartbeatEveryMs: 100_000 };
  let world: World;
  let nodes: Node[];
  beforeEach(async () => {
    world = new World();
    nodes = await world.mesh(6, { options });
  });
  afterEach(() => world.stop());
  const others = (lost: Node) => nodes.filter((node) => node !== lost);
  const [at, last] = [0, 5];

  it('is silent everywhere long before its next sign of life is due', async () => {
    const lost = nodes[last] as Node;
    world.cut.add(lost.peerId);
    await world.advance(20_000);
    for (const node of others(lost)) assert.ok(!aliveOf(node).includes(lost.name), node.name);
  });

  it('D4 does not take the others for silent: it is the one that is cut off', async () => {
    const lost = nodes[last] as Node;
    world.cut.add(lost.peerId);
    await world.advance(20_000);
    assert.equal(aliveOf(lost).length, 6);
  });

  it('is alive again once it is heard', async () => {
    const lost = nodes[last] as Node;
    world.cut.add(lost.peerId);
    await world.advance(20_000);
    world.cut.delete(lost.peerId);
    await world.linkAll();
    await world.advance(200_000);
    for (const node of nodes) assert.equal(aliveOf(node).length, 6, node.name);
  });

  it('D3 is not one that can be reached, though a link ended without a word', async () => {
    const [left, right] = [nodes[at], nodes[last]] as [Node, Node];
    left.transport.hangUp(right.peerId, 'a fault');
    await world.advance(20_000);
    for (const node of nodes) assert.equal(aliveOf(node).length, 6, node.name);
  });

  it('D5 refutes what is not true before anybody believes it', async () => {
    const victim = nodes[last] as Node;
    await world.advance(10_000);
    let wasDoubted = false;
    for (const node of others(victim))
      node.registry.onChange((change) => {
        if (change.type !== 'node' || change.peerId !== victim.peerId) return;
        if (!aliveOf(node).includes(victim.name)) wasDoubted = true;
      });
    const nowMs = world.clock.wallMs();
    const lie = encodeSuspicions([{ mark: markOfPeer(victim.peerId), lastSignMs: nowMs }]);
    for (let liar = 1; liar <= SUSPECTORS_NEEDED; liar += 1)
      tellAs(nodes[liar - 1] as Node, liar, lie, nowMs);
    for (let step = 0; step < 100; step += 1) {
      await world.advance(100);
      for (const node of others(victim)) if (!aliveOf(node).includes(victim.name)) wasDoubted = true;
    }
    assert.ok(!wasDoubted);
  });
});
