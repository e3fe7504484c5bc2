import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import type { Identity, Mesh } from '../../../src/mesh/index.ts';
import {
  ENOUGH_LINKS,
  FULL_MESH_MEMBERS,
  isPlanDue,
  LINKS_KEPT,
  type LinkableMember,
  PATIENT_PLAN_MS,
  wantedLinks,
} from '../../../src/mesh/link-rules.ts';
import { contactOf, Village } from './nodes.ts';
import { identityOf } from './support.ts';

const nobody: ReadonlySet<PeerId> = new Set();

describe('B6 links of a mesh that grows', () => {
  it('are drawn again soon by whoever lacks them, and rarely by others', () => {
    const facts = fc.record({
      ageMs: fc.nat(2 * PATIENT_PLAN_MS),
      linkCount: fc.nat(40),
      isChanging: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (plan) => {
        if (plan.linkCount < ENOUGH_LINKS) assert.equal(isPlanDue(plan), plan.ageMs >= 1_000);
        else if (plan.isChanging) assert.equal(isPlanDue(plan), plan.ageMs >= PATIENT_PLAN_MS);
        else if (isPlanDue(plan))
          assert.ok(isPlanDue({ ...plan, linkCount: 0 }), 'no later for lack of links');
        if (plan.ageMs >= PATIENT_PLAN_MS) assert.ok(isPlanDue(plan), 'no plan is older');
      }),
    );
  });

  it('are not made with everybody told of while the registry is not here', () => {
    const members: LinkableMember[] = Array.from({ length: 3 }, (_, at) => ({
      peerId: `peer-${at}` as PeerId,
      isAlive: true,
      rttMs: undefined,
      addresses: [],
    }));
    const self = 'peer-self' as PeerId;
    const wanted = wantedLinks({
      self,
      members: [],
      linked: nobody,
      pinned: nobody,
      toldCount: FULL_MESH_MEMBERS,
    });
    assert.equal(wanted.size, 0);
    const some = wantedLinks({ self, members, linked: nobody, pinned: nobody, toldCount: 64 });
    assert.equal(some.size, members.length, 'those that it knows by then');
  });

  describe('whose members come one after the other', () => {
    const people = Array.from({ length: 64 }, (_, at) => identityOf(at + 1));
    let village: Village;
    let nodes: Mesh[];
    beforeEach(() => {
      village = new Village();
      nodes = [];
    });
    afterEach(() => village[Symbol.asyncDispose]());

    /** All of them know at once who has come, as by a registry that is fast. */
    const linkable = (self: PeerId) => () =>
      nodes
        .filter((node) => node.self !== self)
        .map((node) => ({
          peerId: node.self,
          isAlive: true,
          rttMs: undefined,
          addresses: contactOf(node).addresses,
        }));

    it('are few at all times, and make one piece', async () => {
      let most = 0;
      for (const identity of people) {
        const contacts = nodes.slice(0, 1).map(contactOf);
        nodes.push(await village.node(identity, { contacts, linkable: linkable(identity.peerId) }));
        await village.clock.advance(100);
        for (const { transport } of nodes.slice(1)) most = Math.max(most, transport.links().length);
      }
      await village.clock.advance(15_000);
      for (const { transport } of nodes.slice(1)) {
        most = Math.max(most, transport.links().length);
        assert.ok(transport.links().length >= 8, 'nobody is left with hardly any');
      }
      assert.ok(most <= LINKS_KEPT + 16, `${most} links of one node`);
      const counts = nodes.slice(1).map(({ transport }) => transport.links().length);
      const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
      assert.ok(mean <= LINKS_KEPT, `${mean} links of a node: ${counts}`);
      assert.equal(reached(nodes), nodes.length);
    });
  });
});

describe('B7 a node that has all the links it makes', () => {
  it('is linked with one that it cannot do without', async () => {
    await using village = new Village();
    const [ada, bob, eve] = [1, 2, 3].map(identityOf) as [Identity, Identity, Identity];
    const deciders = new Set<PeerId>();
    const [other, leader] = [
      await village.node(bob, { linksLimit: 0 }),
      await village.node(eve, { linksLimit: 0 }),
    ];
    const contacts = [other, leader].map(contactOf);
    const node = await village.node(ada, { contacts, linksLimit: 0, pinned: () => deciders });
    await village.clock.advance(5_000);
    assert.equal(node.transport.links().length, 0);
    deciders.add(leader.self);
    await village.clock.advance(2_000);
    node.connector.consider({ ...contactOf(leader), source: 'exchange' });
    await village.clock.advance(1_000);
    assert.deepEqual(
      node.transport.links().map(({ peerId }) => peerId),
      [leader.self],
    );
  });
});

/** @returns how many nodes the first one reaches over links. */
function reached(nodes: readonly Mesh[]): number {
  const open = nodes.slice(0, 1);
  const seen = new Set(open.map(({ self }) => self));
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const { peerId } of node.transport.links()) {
      const next = nodes.find(({ self }) => self === peerId);
      if (next === undefined || seen.has(peerId)) continue;
      seen.add(peerId);
      open.push(next);
    }
  }
  return seen.size;
}
