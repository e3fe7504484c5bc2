import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import {
  CLOSED_AT_ONCE,
  DRAWN_LINKS,
  FULL_MESH_MEMBERS,
  firstOf,
  type HeldLink,
  isDrawnBy,
  LINK_LINGER_MS,
  LINKS_KEPT,
  type LinkableMember,
  linksToClose,
  NEAR_LINKS,
  wantedLinks,
} from '../../../src/mesh/link-rules.ts';

const names = (count: number, salt = '') =>
  Array.from({ length: count }, (_, at) => `peer-${salt}${at}` as PeerId);
const member = (peerId: PeerId, over: Partial<LinkableMember> = {}): LinkableMember => ({
  peerId,
  isAlive: true,
  rttMs: undefined,
  addresses: [],
  ...over,
});
const others = (all: readonly PeerId[], self: PeerId) =>
  all.filter((peerId) => peerId !== self).map((peerId) => member(peerId));
const linked: ReadonlySet<PeerId> = new Set();
const nobody = linked;
const old = (peerId: PeerId, over: Partial<HeldLink> = {}): HeldLink => ({
  peerId,
  rttMs: 1,
  ageMs: LINK_LINGER_MS + 1,
  idleMs: undefined,
  ...over,
});

function piecesOf(all: readonly PeerId[], links: ReadonlyMap<PeerId, ReadonlySet<PeerId>>): number {
  const both = new Map(all.map((peerId) => [peerId, new Set(links.get(peerId))]));
  for (const [peerId, wanted] of links) for (const other of wanted) both.get(other)?.add(peerId);
  const seen = new Set<PeerId>();
  let pieces = 0;
  for (const start of all) {
    if (seen.has(start)) continue;
    pieces += 1;
    const open = [start];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      open.push(...(both.get(at) ?? []));
    }
  }
  return pieces;
}

describe('the first few', () => {
  it('are those that sorting all of them gives', () => {
    const items = fc.array(fc.record({ at: fc.integer({ min: 0, max: 9 }), name: fc.string() }));
    const byAt = (left: { at: number }, right: { at: number }) => left.at - right.at;
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 12 }), (all, count) =>
        assert.deepEqual(firstOf(all, count, byAt), all.toSorted(byAt).slice(0, count)),
      ),
    );
  });
});

describe('links in a large mesh', () => {
  it('B1 everybody wants everybody among few', () => {
    const all = names(FULL_MESH_MEMBERS);
    for (const self of all)
      assert.equal(
        wantedLinks({ self, members: others(all, self), linked, pinned: nobody }).size,
        all.length - 1,
      );
  });

  it('B2 whoever votes is wanted, however many others there are', () => {
    const all = names(500);
    const self = all[0] as PeerId;
    const pinned = new Set([all[7], all[77], all[477]] as PeerId[]);
    const wanted = wantedLinks({ self, members: others(all, self), linked, pinned });
    for (const peerId of pinned) assert.ok(wanted.has(peerId));
  });

  it('B3 a node wants a bounded number, whoever is near, alive or dead', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: FULL_MESH_MEMBERS, max: 200 }),
        fc.array(fc.record({ isAlive: fc.boolean(), rttMs: fc.option(fc.nat(500), { nil: undefined }) }), {
          minLength: 200,
          maxLength: 200,
        }),
        (count, states) => {
          const members = names(count).map((peerId, at) => member(peerId, states[at]));
          const wanted = wantedLinks({ self: 'peer-self' as PeerId, members, linked, pinned: nobody });
          assert.ok(wanted.size <= 2 * DRAWN_LINKS + NEAR_LINKS);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes the nearest ones among them', () => {
    const members = names(100).map((peerId, at) => member(peerId, { rttMs: at < 100 - NEAR_LINKS ? 40 : 3 }));
    const wanted = wantedLinks({ self: 'peer-self' as PeerId, members, linked, pinned: nobody });
    for (const { peerId } of members.slice(-NEAR_LINKS)) assert.ok(wanted.has(peerId));
  });

  it('does not change its mind where estimates waver', () => {
    const self = 'peer-self' as PeerId;
    const at = (rttMs: (at: number) => number) =>
      wantedLinks({
        self,
        members: names(100).map((peerId, index) => member(peerId, { rttMs: rttMs(index) })),
        linked,
        pinned: nobody,
      });
    assert.deepEqual(
      at((index) => 0.3 + (index % 7) / 5),
      at((index) => 1.7 - (index % 5) / 5),
    );
  });

  it('stays with those near ones that it has', () => {
    const self = 'peer-self' as PeerId;
    const members = names(100).map((peerId) => member(peerId, { rttMs: 20 }));
    const before = wantedLinks({ self, members, linked, pinned: nobody });
    const after = members.map((each) => ({ ...each, rttMs: before.has(each.peerId) ? 40 : 30 }));
    assert.deepEqual(wantedLinks({ self, members: after, linked: before, pinned: nobody }), before);
  });

  it('makes one piece of any mesh, also of those left when a third has died', () => {
    for (let round = 0; round < 20; round += 1) {
      const all = names(300, `${round}-`);
      const dead = new Set(all.filter((_, at) => at % 3 === 0));
      const living = all.filter((peerId) => !dead.has(peerId));
      const links = new Map(
        living.map((self) => {
          const members = others(all, self).map((each) => ({ ...each, isAlive: !dead.has(each.peerId) }));
          const wanted = wantedLinks({ self, members, linked, pinned: nobody });
          return [self, new Set([...wanted].filter((peerId) => !dead.has(peerId)))] as const;
        }),
      );
      assert.equal(piecesOf(living, links), 1);
    }
  });

  it('B4 halves that took each other for dead still try to reach across', () => {
    const all = names(200);
    const isLeft = (peerId: PeerId) => all.indexOf(peerId) < 100;
    const crossing = all.flatMap((self) => {
      const members = others(all, self).map((each) => ({
        ...each,
        isAlive: isLeft(each.peerId) === isLeft(self),
      }));
      return [...wantedLinks({ self, members, linked, pinned: nobody })].filter(
        (to) => isLeft(to) !== isLeft(self),
      );
    });
    assert.ok(crossing.length >= 100, `${crossing.length} links wanted across`);
  });

  it('is drawn by whoever draws it', () => {
    const all = names(120);
    for (const self of all.slice(0, 20)) {
      const wanted = wantedLinks({ self, members: others(all, self), linked, pinned: nobody });
      for (const peer of wanted)
        assert.ok(
          isDrawnBy(self, { self: peer, members: others(all, peer) }),
          `${peer} knows that it is drawn`,
        );
    }
  });

  describe('B5 links that go', () => {
    const all = names(200);
    const self = all[0] as PeerId;
    const situation = { self, members: others(all, self), linked, pinned: new Set([all[1] as PeerId]) };
    const unwanted = all
      .slice(2)
      .filter((peer) => !wantedLinks(situation).has(peer) && !isDrawnBy(peer, situation));
    const many = unwanted.slice(0, LINKS_KEPT + 10);

    it('are only those beyond the limit, a few at once', () => {
      assert.deepEqual(
        linksToClose(
          situation,
          many.slice(0, LINKS_KEPT).map((peer) => old(peer)),
        ),
        [],
      );
      assert.equal(
        linksToClose(
          situation,
          many.slice(0, LINKS_KEPT + 1).map((peer) => old(peer)),
        ).length,
        1,
      );
      assert.equal(
        linksToClose(
          situation,
          many.map((peer) => old(peer)),
        ).length,
        CLOSED_AT_ONCE,
      );
    });

    it('are the farthest ones', () => {
      const links = many.map((peer, at) => old(peer, { rttMs: at }));
      assert.deepEqual(linksToClose(situation, links), many.slice(-CLOSED_AT_ONCE).reverse());
    });

    it('are never wanted by either end, nor pinned', () => {
      const wanted = all.filter((peer) => wantedLinks(situation).has(peer) || isDrawnBy(peer, situation));
      const links = [...wanted, ...unwanted.slice(0, LINKS_KEPT)].map((peer, at) =>
        old(peer, { rttMs: 999 - at }),
      );
      for (const peer of linksToClose(situation, links)) assert.ok(unwanted.includes(peer));
    });

    it('are neither new nor in use', () => {
      const isNew = many.map((peer) => old(peer, { ageMs: LINK_LINGER_MS }));
      const isUsed = many.map((peer) => old(peer, { idleMs: 1_000 }));
      assert.deepEqual(linksToClose(situation, isNew), []);
      assert.deepEqual(linksToClose(situation, isUsed), []);
    });

    it('are none in a small mesh', () => {
      const few = { ...situation, members: situation.members.slice(0, FULL_MESH_MEMBERS - 1) };
      assert.deepEqual(
        linksToClose(
          few,
          many.map((peer) => old(peer)),
        ),
        [],
      );
    });
  });
});
