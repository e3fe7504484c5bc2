import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, encode, SeededRandom } from '../../../src/base/index.ts';
import { compareDigest, compareParts, digestOf } from '../../../src/crdt/anti-entropy.ts';
import type { Space } from '../../../src/crdt/space.ts';
import {
  BUCKETS_LIMIT,
  bucketCountFor,
  isBucketCount,
  partsOf,
  summaryOf,
  unequalBuckets,
} from '../../../src/crdt/summary.ts';
import {
  METHODS,
  partsMessage,
  readParts,
  readSelection,
  readSummary,
  summaryMessage,
} from '../../../src/crdt/wire.ts';
import { type Node, namesOf, World } from './support.ts';

/** A space of which nothing counts but the hashes. */
function spaceOf(name: string, hashes: ReadonlyMap<string, number>): Space {
  return {
    name,
    ownerCount: hashes.size,
    hashes: () => hashes.entries(),
    hashOf: (owner) => hashes.get(owner),
    stampsOf: (owner) => (hashes.has(owner) ? [['key', 1, 0, hashes.get(owner) ?? 0]] : []),
    wireOf: () => undefined,
    offer: () => 'known',
  };
}

const ownersOf = (count: number) =>
  new Map(Array.from({ length: count }, (_, at) => [`owner-${at}`, at * 7 + 1] as const));

describe('a summary of what a replica holds', () => {
  const held = fc
    .array(fc.tuple(fc.nat(200), fc.nat(3)), { maxLength: 150 })
    .map((pairs) => new Map(pairs.map(([owner, hash]) => [`owner-${owner}`, hash])));

  it('leads to the same differences as naming all owners', () => {
    fc.assert(
      fc.property(held, held, held, fc.nat(2 ** 32 - 1), (ours, theirs, both, salt) => {
        const asking = [spaceOf('node', new Map([...ours, ...both])), spaceOf('progress', ours)];
        const answering = [spaceOf('node', new Map([...theirs, ...both])), spaceOf('progress', theirs)];
        const summary = readSummary(summaryMessage(summaryOf(asking, salt)));
        const selection = readSelection(unequalBuckets(answering, summary));
        const parts = readParts(partsMessage(partsOf(asking, selection)));
        const found = compareParts(answering, parts, new SeededRandom(1)).differences;
        const expected = compareDigest(answering, digestOf(asking), new SeededRandom(1)).differences;
        assert.deepEqual(found.map(String).toSorted(), expected.map(String).toSorted());
      }),
    );
  });

  it('says nothing where nothing differs, whatever the salt', () => {
    fc.assert(
      fc.property(held, fc.nat(2 ** 32 - 1), (both, salt) => {
        const space = spaceOf('node', both);
        assert.deepEqual(unequalBuckets([space], summaryOf([space], salt)), []);
      }),
    );
  });

  it('grows with the root of the owners, and so do the parts of which few differ', () => {
    const bytesOf = (count: number) => {
      const ours = ownersOf(count);
      const theirs = new Map(ours).set('owner-1', 0).set('owner-5', 0).set('owner-9', 0);
      const [asking, answering] = [[spaceOf('node', ours)], [spaceOf('node', theirs)]];
      const summary = summaryOf(asking, 7);
      const parts = partsOf(asking, unequalBuckets(answering, summary));
      return encode(summaryMessage(summary)).length + encode(partsMessage(parts)).length;
    };
    const [few, many] = [bytesOf(100), bytesOf(10_000)];
    assert.ok(many < 15 * few, `${few} bytes of 100 owners, ${many} of 10,000`);
    assert.ok(few < encode(digestOf([spaceOf('node', ownersOf(100))])).length / 2);
  });

  it('has a bounded number of buckets, whatever there is', () => {
    fc.assert(
      fc.property(fc.nat(3_000), (count) =>
        assert.ok(isBucketCount(bucketCountFor(spaceOf('node', ownersOf(count))))),
      ),
      { numRuns: 20 },
    );
    assert.ok(!isBucketCount(2 * BUCKETS_LIMIT) && !isBucketCount(3) && !isBucketCount(0));
  });

  it('of two that differ looks equal once at most: its sums are salted', () => {
    const [asking, answering] = [spaceOf('node', ownersOf(40)), spaceOf('node', ownersOf(41))];
    const random = new SeededRandom(3);
    for (let round = 0; round < 100; round += 1)
      assert.notDeepEqual(unequalBuckets([answering], summaryOf([asking], random.uint32())), []);
  });

  it('is refused where it is none, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything(), (foreign) => {
        for (const read of [readSummary, readParts, readSelection]) {
          try {
            read(foreign);
          } catch (error) {
            assert.ok(error instanceof AspenError && error.code === 'INVALID_REQUEST');
          }
        }
      }),
    );
    for (const sums of [[], [1, 2, 3], new Array(2 * BUCKETS_LIMIT).fill(0)])
      assert.throws(() => readSummary([1, 7, [['node', sums]]]), AspenError);
    assert.throws(() => readSummary([2, 7, []]), AspenError, 'another format');
  });
});

describe('registries that summarize', () => {
  let world: World;
  const asked = new Map<string, number>();
  beforeEach(() => {
    world = new World();
    asked.clear();
  });
  afterEach(() => world.stop());

  /** Counts what a node asks others, and lets it ask as if they did not know `unknown`. */
  function watch(node: Node, unknown: ReadonlySet<string> = new Set()): void {
    const { messenger } = node;
    const request = messenger.request.bind(messenger);
    messenger.request = async (to, method, body, options) => {
      asked.set(method, (asked.get(method) ?? 0) + 1);
      if (unknown.has(method)) throw new AspenError('METHOD_NOT_FOUND', `${to} serves no ${method}`);
      return request(to, method, body, options);
    };
  }

  it('name all owners at once while they are few', async () => {
    const nodes = (await world.mesh(2)) as [Node, Node];
    world.isGossipLost = true;
    for (const node of nodes) watch(node);
    nodes[0].registry.bulletins.add('revocation', 'x', Buffer.from('revoke x'));
    await world.advance(20_000);
    assert.equal(asked.has(METHODS.summarize), false);
    assert.equal(nodes[1].registry.bulletins.all('revocation').length, 1);
  });

  it('C8 agree where there are many, also with those that know no summaries', async () => {
    const nodes = await world.mesh(5, { options: { namedAtOnce: 0 } });
    world.isGossipLost = true;
    const old = new Set<string>([METHODS.summarize]);
    for (const [at, node] of nodes.entries()) watch(node, at % 2 === 0 ? old : new Set());
    nodes[0]?.registry.bulletins.add('revocation', 'x', Buffer.from('revoke x'));
    await world.advance(60_000);
    for (const { registry } of nodes) assert.equal(registry.bulletins.all('revocation').length, 1);
    assert.equal(new Set(nodes.map(({ registry }) => registry.digest())).size, 1);
    assert.equal(namesOf(nodes[1] as Node).length, nodes.length);
    assert.ok((asked.get(METHODS.summarize) ?? 0) > 0 && (asked.get(METHODS.compare) ?? 0) > 0);
  });

  it('ask one that knows no summaries for them once only', async () => {
    const nodes = await world.mesh(3, { options: { namedAtOnce: 0 } });
    watch(nodes[0] as Node, new Set([METHODS.summarize]));
    await world.advance(300_000);
    assert.ok((asked.get(METHODS.summarize) ?? 0) <= nodes.length - 1);
    assert.ok((asked.get(METHODS.compare) ?? 0) > 20);
  });
});
