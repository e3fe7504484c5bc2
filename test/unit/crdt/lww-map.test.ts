import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { type Entry, fromWire, toWire, type UnsignedEntry } from '../../../src/crdt/entry.ts';
import { LwwMap, type LwwMapOptions } from '../../../src/crdt/lww-map.ts';
import { crypto, identityOf, verifyBy } from './support.ts';

const NOW_MS = 1_800_000_000_000;
const HORIZON_MS = 86_400_000;
const [ada, ben] = [identityOf(1), identityOf(2)];
const place = { scope: 'mesh', name: 'node' };

function mapAt(options: Partial<LwwMapOptions> = {}, verify = verifyBy) {
  const wall = { ms: NOW_MS };
  return { wall, map: new LwwMap({ verify, wallMs: () => wall.ms }, { ...place, ...options }) };
}

function entry(facts: Partial<UnsignedEntry> & { by?: typeof ada } = {}): Entry {
  const { by = ada, ...rest } = facts;
  const unsigned: UnsignedEntry = {
    owner: by.peerId,
    incarnation: 'life',
    key: 'profile',
    value: Buffer.from('x'),
    wallMs: NOW_MS,
    counter: 0,
    ...rest,
  };
  return { ...unsigned, signature: crypto.sign(by.seed, mapAt().map.signedBytes(unsigned)) };
}

function contents(map: LwwMap): readonly unknown[] {
  return [...map.owners()]
    .toSorted()
    .map((owner) => [
      owner,
      map.hashOf(owner),
      [...map.entriesOf(owner)]
        .map(({ key, value, wallMs, counter }) => [
          key,
          value && Buffer.from(value).toString(),
          wallMs,
          counter,
        ])
        .toSorted(),
    ]);
}

describe('last-writer-wins map: what it refuses', () => {
  it('C2: an entry that its owner did not sign, whoever relays it', () => {
    const genuine = entry();
    const cases: readonly [string, Entry][] = [
      ['signed by another', { ...genuine, signature: entry({ by: ben }).signature }],
      ['owner exchanged', { ...genuine, owner: ben.peerId }],
      ['key exchanged', { ...genuine, key: 'heartbeat' }],
      ['value exchanged', { ...genuine, value: Buffer.from('y') }],
      ['deleted', { ...genuine, value: undefined }],
      ['made later', { ...genuine, wallMs: NOW_MS + 1 }],
      ['counted up', { ...genuine, counter: 1 }],
      ['of another life', { ...genuine, incarnation: 'other' }],
    ];
    for (const [what, forged] of cases) assert.equal(mapAt().map.merge(forged, 'gossip'), 'not-signed', what);
    assert.equal(mapAt().map.merge(genuine, 'gossip'), 'applied');
  });

  it('C2: an entry that was signed for another mesh or space', () => {
    assert.equal(mapAt({ scope: 'other mesh' }).map.merge(entry(), 'gossip'), 'not-signed');
    assert.equal(mapAt({ name: 'progress' }).map.merge(entry(), 'gossip'), 'not-signed');
  });

  it('C3: what was collected does not come back, and neither does a deleted key', () => {
    const { wall, map } = mapAt();
    const live = entry();
    const tombstone = entry({ counter: 1, value: undefined });
    map.merge(live, 'gossip');
    map.merge(tombstone, 'gossip');
    assert.equal(map.merge(live, 'gossip'), 'known');
    wall.ms += HORIZON_MS + 1;
    assert.deepEqual(map.collect(), [tombstone]);
    assert.deepEqual([map.ownerCount, map.hashOf(ada.peerId)], [0, undefined]);
    assert.equal(map.merge(live, 'exchange'), 'expired');
    assert.equal(map.merge(tombstone, 'exchange'), 'expired');
  });

  it('C5: a clock more than a minute ahead', () => {
    const { map } = mapAt();
    assert.equal(map.merge(entry({ wallMs: NOW_MS + 60_001 }), 'gossip'), 'future');
    assert.equal(map.merge(entry({ wallMs: NOW_MS + 60_000 }), 'gossip'), 'applied');
  });

  it('C4: what is over the limits of a value, of all owners, of all bytes', () => {
    assert.equal(mapAt({ valueBytesLimit: 7 }).map.merge(entry(), 'gossip'), 'limit');
    const { map } = mapAt({ ownersLimit: 1 });
    map.merge(entry(), 'gossip');
    assert.equal(map.merge(entry({ by: ben }), 'gossip'), 'limit');
    const { map: full } = mapAt({ totalBytesLimit: 8 });
    assert.equal(full.merge(entry(), 'gossip'), 'applied');
    assert.equal(full.merge(entry({ by: ben }), 'gossip'), 'limit');
    assert.equal(full.merge(entry({ counter: 1 }), 'gossip'), 'applied', 'a later version takes the place');
  });

  it('anything that has not the shape of an entry', () => {
    const { map } = mapAt();
    const good = toWire(entry());
    const replaced = good.map((_, at) => good.map((part, each) => (each === at ? { evil: true } : part)));
    for (const foreign of [undefined, 7, 'x', [], good.slice(1), ...replaced]) {
      assert.equal(map.offer(foreign, 'gossip'), 'malformed');
    }
    fc.assert(
      fc.property(fc.anything(), (foreign) => assert.equal(map.offer(foreign, 'gossip'), 'malformed')),
    );
    assert.equal(map.offer(good, 'gossip'), 'applied');
    assert.deepEqual(fromWire(good), entry());
  });
});

describe('last-writer-wins map: merging, against its obvious twin', () => {
  const trusting = () => true;
  const limit = 3;
  const version: fc.Arbitrary<Entry> = fc
    .record({
      owner: fc.constantFrom(ada.peerId, ben.peerId),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      value: fc.option(fc.constantFrom(Buffer.from('x'), Buffer.from('y')), { nil: undefined }),
      wallMs: fc.integer({ min: NOW_MS - 3, max: NOW_MS }),
      counter: fc.nat(1),
    })
    .map((facts) => {
      const unsigned = { ...facts, incarnation: 'life' };
      const digest = crypto.sha256(mapAt().map.signedBytes(unsigned));
      return { ...unsigned, signature: Buffer.concat([digest, digest]) };
    });
  const versions = fc.array(version, { maxLength: 20 });

  const merged = (entries: readonly Entry[]) => {
    const { map } = mapAt({ entriesPerOwnerLimit: limit }, trusting);
    for (const each of entries) map.merge(each, 'gossip');
    return map;
  };

  it('C1: the order and the number of arrivals make no difference', () => {
    fc.assert(
      fc.property(versions, fc.infiniteStream(fc.nat()), (entries, dice) => {
        const lot = new Map(entries.map((each) => [each, dice.next().value]));
        const shuffled = entries.toSorted((left, right) => (lot.get(left) ?? 0) - (lot.get(right) ?? 0));
        assert.deepEqual(contents(merged([...shuffled, ...shuffled])), contents(merged(entries)));
      }),
    );
  });

  it('C1: merging whole replicas associates', () => {
    fc.assert(
      fc.property(versions, versions, versions, (first, second, third) => {
        const state = (map: LwwMap) => [...map.owners()].flatMap((owner) => [...map.entriesOf(owner)]);
        const left = merged([
          ...state(merged([...state(merged(first)), ...state(merged(second))])),
          ...state(merged(third)),
        ]);
        const right = merged([
          ...state(merged(first)),
          ...state(merged([...state(merged(second)), ...state(merged(third))])),
        ]);
        assert.deepEqual(contents(left), contents(right));
      }),
    );
  });

  it('C1, C4: what stays is the latest version of each key, and of those the latest few of each owner', () => {
    fc.assert(
      fc.property(versions, (entries) => {
        const inOrder = entries.toSorted(
          (left, right) =>
            left.wallMs - right.wallMs ||
            left.counter - right.counter ||
            Buffer.compare(left.signature, right.signature),
        );
        const map = merged(entries);
        for (const owner of [ada.peerId, ben.peerId] as PeerId[]) {
          const latest = new Map<string, Entry>();
          for (const each of inOrder.filter((candidate) => candidate.owner === owner)) {
            latest.delete(each.key);
            latest.set(each.key, each);
          }
          const kept = [...latest.values()].slice(-limit);
          const held = [...map.entriesOf(owner)];
          assert.deepEqual(held.map(({ key }) => key).toSorted(), kept.map(({ key }) => key).toSorted());
          for (const each of kept) assert.deepEqual(map.get(owner, each.key), each);
        }
      }),
    );
  });
});
