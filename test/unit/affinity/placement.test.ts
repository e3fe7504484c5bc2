import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  best,
  blobMark,
  candidatesFor,
  canEverFit,
  explain,
  type NodeView,
  type Placement,
  rank,
  type Strategy,
} from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';

const peer = (name: string) => name as PeerId;

function node(name: string, facts: Partial<NodeView> = {}): NodeView {
  return {
    peerId: peer(name),
    role: 'voter',
    labels: {},
    types: ['shell', 'echo'],
    freeSlots: 4,
    totalSlots: 4,
    isSuspect: false,
    ...facts,
  };
}

const order = (placement: Placement, nodes: readonly NodeView[], seed = 0) =>
  rank(placement, nodes, { seed }).map(({ peerId }) => peerId as string);

describe('placement: why a node does not fit', () => {
  const cases: readonly {
    readonly reason: string;
    readonly placement?: Partial<Placement>;
    readonly facts?: Partial<NodeView>;
    readonly isEligible?: boolean;
  }[] = [
    {
      reason: 'label zone is eu, needs us',
      placement: { require: { zone: 'us' } },
      facts: { labels: { zone: 'eu' } },
    },
    { reason: 'has no label zone, needs us', placement: { require: { zone: 'us' } } },
    { reason: 'has no label constructor, needs x', placement: { require: { constructor: 'x' } } },
    { reason: 'runs no jobs of type gpu; it runs shell, echo', placement: { type: 'gpu' } },
    { reason: 'runs no jobs of type shell; it runs none', facts: { types: [] } },
    { reason: 'is not the required node b', placement: { node: { peerId: peer('b'), mode: 'require' } } },
    { reason: 'is the node to be avoided', placement: { avoid: { node: 'a' } } },
    {
      reason: 'label disk is hdd, which is to be avoided',
      placement: { avoid: { disk: 'hdd' } },
      facts: { labels: { disk: 'hdd' } },
    },
    { reason: 'has the role submitter, which runs no jobs', facts: { role: 'submitter' } },
    { reason: 'offers no slots', facts: { freeSlots: 0, totalSlots: 0 } },
    { reason: 'is full: 4 of 4 slots in use', facts: { freeSlots: 0 }, isEligible: true },
    {
      reason: 'is suspect: silent since 6 s',
      facts: { isSuspect: true, silentForMs: 6_100 },
      isEligible: true,
    },
    { reason: 'is draining and takes no new jobs', facts: { isDraining: true }, isEligible: true },
  ];
  for (const { reason, placement, facts, isEligible = false } of cases) {
    it(`says: ${reason}`, () => {
      const wanted = { type: 'shell', ...placement };
      const nodes = [node('a', facts)];
      assert.deepEqual(explain(wanted, nodes), [{ peerId: 'a', fits: false, isEligible, reasons: [reason] }]);
      assert.deepEqual(rank(wanted, nodes, { seed: 0 }), []);
      assert.equal(canEverFit(wanted, nodes), isEligible);
    });
  }

  it('names every constraint that rules a node out, the lasting ones first', () => {
    const [explanation] = explain({ type: 'gpu', require: { zone: 'us' } }, [node('a', { freeSlots: 0 })]);
    assert.deepEqual(explanation?.reasons, [
      'runs no jobs of type gpu; it runs shell, echo',
      'has no label zone, needs us',
      'is full: 4 of 4 slots in use',
    ]);
  });
});

describe('placement: which node is best', () => {
  it('takes the node that holds more of what the job reads, before nearness and after preferred labels', () => {
    const data = ['bafkreiaaaaaaaaaaaaaaaaaaaaaa1', 'bafkreiaaaaaaaaaaaaaaaaaaaaaa2'];
    const [one = '', two = ''] = data.map(blobMark);
    const nodes = [
      node('free'),
      node('half', { blobs: new Set([one, 'another']), freeSlots: 1 }),
      node('all', { blobs: new Set([one, two]), freeSlots: 1 }),
      node('labelled', { labels: { gpu: 'yes' }, freeSlots: 1 }),
    ];
    const placement: Placement = { type: 'shell', prefer: { gpu: 'yes' }, data };
    assert.deepEqual(order(placement, nodes), ['labelled', 'all', 'half', 'free']);
    const [, all] = rank(placement, nodes, { seed: 0 });
    assert.match(all?.reasons.join() ?? '', /holds 2 of the 2 blobs it reads/);
  });

  it('takes the preferred node before preferred labels, those before nearness, that before load', () => {
    const at = (xMs: number) => ({ xMs, yMs: 0, heightMs: 0.1, error: 0.1 });
    const nodes = [
      node('free', { coordinate: at(300) }),
      node('near', { coordinate: at(1), freeSlots: 1 }),
      node('labelled', { labels: { gpu: 'yes' }, freeSlots: 1, coordinate: at(200) }),
      node('named', { freeSlots: 1, coordinate: at(200) }),
      node('origin', { coordinate: at(0), types: [] }),
    ];
    const placement: Placement = {
      type: 'shell',
      node: { peerId: peer('named'), mode: 'prefer' },
      prefer: { gpu: 'yes' },
      near: peer('origin'),
    };
    assert.deepEqual(order(placement, nodes), ['named', 'labelled', 'near', 'free']);
  });

  it('goes elsewhere when the preferred node has no free slot', () => {
    const nodes = [node('a'), node('b', { freeSlots: 0 })];
    assert.deepEqual(order({ type: 'shell', node: { peerId: peer('b'), mode: 'prefer' } }, nodes), ['a']);
  });

  it('least-loaded takes the largest share of free slots, spread the fewest running jobs', () => {
    const nodes = [
      node('big', { freeSlots: 90, totalSlots: 100 }),
      node('small', { freeSlots: 3, totalSlots: 4 }),
    ];
    assert.deepEqual(order({ type: 'shell' }, nodes), ['big', 'small']);
    assert.deepEqual(order({ type: 'shell', strategy: 'spread' }, nodes), ['small', 'big']);
  });

  it('a machine that is busy with other things comes after one that is not', () => {
    const nodes = [node('busy', { load: 0.9 }), node('idle', { load: 0.1 })];
    assert.deepEqual(order({ type: 'shell' }, nodes), ['idle', 'busy']);
  });

  it('round-robin gives each node its turn, a full one none, and goes on where a node left', () => {
    const nodes = ['c', 'a', 'b', 'd'].map((name) => node(name));
    const turnAfter = (lastTurn: string | undefined, views: readonly NodeView[]) =>
      rank({ type: 'shell', strategy: 'round-robin' }, views, {
        seed: 0,
        lastTurn: lastTurn as PeerId | undefined,
      })[0]?.peerId as string | undefined;
    const turns: (string | undefined)[] = [];
    for (let at = 0; at < 6; at += 1) turns.push(turnAfter(turns.at(-1), nodes));
    assert.deepEqual(turns, ['a', 'b', 'c', 'd', 'a', 'b']);
    assert.equal(turnAfter('a', [node('a'), node('b', { freeSlots: 0 }), node('c')]), 'c');
    assert.equal(turnAfter('b', [node('a'), node('c')]), 'c');
  });

  it('only the keys of a node that left move, whichever nodes there are', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(names, fc.nat(), fc.string({ minLength: 1 }), (peers, at, key) => {
        const nodes = peers.map((name) => node(name));
        const gone = peers[at % peers.length] as string;
        const home = order({ type: 'shell', key }, nodes)[0];
        const after = order(
          { type: 'shell', key },
          nodes.filter(({ peerId }) => peerId !== gone),
          1,
        )[0];
        if (home === gone) assert.notEqual(after, gone);
        else assert.equal(after, home);
      }),
      { numRuns: 300 },
    );
  });

  it('a key stays on its node while load changes, and only the keys of a node that left move', () => {
    const nodes = Array.from({ length: 7 }, (_, at) => node(`node-${at}`));
    const busier = nodes.map((each, at) => ({ ...each, freeSlots: 1 + (at % 3) }));
    const without = nodes.filter(({ peerId }) => peerId !== 'node-3');
    const used = new Set<string>();
    for (let at = 0; at < 300; at += 1) {
      const placement = { type: 'shell', key: `key-${at}` };
      const [home] = order(placement, nodes, at);
      used.add(home as string);
      assert.equal(order(placement, busier, at + 1)[0], home);
      if (home !== 'node-3') assert.equal(order(placement, without, at)[0], home);
    }
    assert.equal(used.size, 7);
  });
});

describe('placement against its obvious twin', () => {
  const label = fc.constantFrom('zone', 'disk');
  const value = fc.constantFrom('x', 'y');
  const labels = fc.dictionary(label, value, { maxKeys: 2 });
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const nodeView: fc.Arbitrary<NodeView> = fc
    .record({
      peerId: name.map(peer),
      role: fc.constantFrom('voter', 'worker', 'submitter', 'observer'),
      labels,
      types: fc.subarray(['shell', 'echo']),
      used: fc.nat(3),
      totalSlots: fc.nat(3),
      isSuspect: fc.boolean(),
      isDraining: fc.boolean(),
      blobs: fc.option(
        fc.subarray(['b1', 'b2']).map((held) => new Set(held)),
        { nil: undefined },
      ),
    })
    .map(({ used, ...rest }) => ({ ...rest, freeSlots: Math.max(0, rest.totalSlots - used) }));
  const nodes = fc.uniqueArray(nodeView, { selector: ({ peerId }) => peerId, maxLength: 4 });
  const placement: fc.Arbitrary<Placement> = fc.record(
    {
      type: fc.constantFrom('shell', 'gpu'),
      node: fc.record({ peerId: name.map(peer), mode: fc.constantFrom('require', 'prefer') }),
      require: labels,
      prefer: labels,
      avoid: fc.dictionary(fc.constantFrom('zone', 'node'), fc.constantFrom('x', 'a'), { maxKeys: 2 }),
      near: name.map(peer),
      data: fc.subarray(['b1', 'b2', 'b3']),
      key: fc.string(),
      strategy: fc.constantFrom<Strategy[]>('least-loaded', 'round-robin', 'spread'),
    },
    { requiredKeys: ['type'] },
  );

  it('chooses what ranks first, and the parts of a score add up to it', () => {
    fc.assert(
      fc.property(placement, nodes, fc.nat(), fc.option(name), (wanted, views, seed, last) => {
        const at = views.find(({ peerId }) => peerId === wanted.near)?.coordinate;
        const options = { seed, nearAt: at, lastTurn: (last ?? undefined) as PeerId | undefined };
        const ranked = rank(wanted, views, options);
        assert.equal(best(wanted, candidatesFor(wanted, views), options)?.peerId, ranked[0]?.peerId);
        for (const { score, parts } of ranked)
          assert.ok(Math.abs(parts.reduce((sum, part) => sum + part.score, 0) - score) < 1e-6);
      }),
      { numRuns: 500 },
    );
  });

  function couldEverRun(wanted: Placement, view: NodeView): boolean {
    if (view.role === 'submitter' || view.role === 'observer' || view.totalSlots === 0) return false;
    if (!view.types.includes(wanted.type)) return false;
    if (wanted.node?.mode === 'require' && wanted.node.peerId !== view.peerId) return false;
    for (const key in wanted.require) if (view.labels[key] !== wanted.require[key]) return false;
    for (const key in wanted.avoid) {
      const own = key === 'node' ? view.peerId : view.labels[key];
      if (own === wanted.avoid[key]) return false;
    }
    return true;
  }
  const couldRunNow = (view: NodeView) => view.freeSlots > 0 && !view.isSuspect && view.isDraining !== true;

  it('agrees on who fits, for ever and now', () => {
    fc.assert(
      fc.property(placement, nodes, fc.nat(), (wanted, views, seed) => {
        const eligible = views.filter((view) => couldEverRun(wanted, view));
        const fitting = eligible.filter(couldRunNow).map(({ peerId }) => peerId);
        assert.equal(canEverFit(wanted, views), eligible.length > 0);
        assert.deepEqual(order(wanted, views, seed).toSorted(), fitting.toSorted());
        const explained = explain(wanted, views).filter(({ fits }) => fits);
        assert.deepEqual(
          explained.map(({ peerId }) => peerId),
          fitting,
        );
        for (const { fits, reasons } of explain(wanted, views)) assert.equal(fits, reasons.length === 0);
      }),
    );
  });

  it('answers the same whatever order the nodes come in', () => {
    fc.assert(
      fc.property(placement, nodes, fc.nat(), (wanted, views, seed) => {
        assert.deepEqual(rank(wanted, views, { seed }), rank(wanted, views.toReversed(), { seed }));
      }),
    );
  });
});
