import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type PeerId, SeededRandom } from '../../../src/base/index.ts';
import {
  compareDigest,
  digestOf,
  itemsOf,
  PAGE_BYTES,
  planExchange,
  roughBytes,
} from '../../../src/crdt/anti-entropy.ts';
import { toWire } from '../../../src/crdt/entry.ts';
import { LwwMap } from '../../../src/crdt/lww-map.ts';
import { decodeGossip, encodeGossip } from '../../../src/crdt/wire.ts';
import { GOSSIP_BYTES_LIMIT } from '../../../src/mesh/index.ts';

const NOW_MS = 1_800_000_000_000;

interface Version {
  readonly owner: number;
  readonly key: number;
  readonly time: number;
}

function replica(versions: readonly Version[], valueBytes = 1): LwwMap {
  const map = new LwwMap({ verify: () => true, wallMs: () => NOW_MS }, { name: 'node' });
  for (const { owner, key, time } of versions) {
    const signature = new Uint8Array(64).fill(owner).fill(key, 20).fill(time, 40);
    const value = new Uint8Array(valueBytes);
    const place = { owner: `owner-${owner}` as PeerId, key: `key-${key}`, incarnation: 'life' };
    map.merge({ ...place, value, wallMs: NOW_MS - 100 + time, counter: 0, signature }, 'gossip');
  }
  return map;
}

/** One round as the replicator does it, without a network. @returns how many versions crossed the wire. */
function exchange(asking: LwwMap, answering: LwwMap, seed: number): number {
  const { differences } = compareDigest([answering], digestOf([asking]), new SeededRandom(seed));
  const { wants, offers } = planExchange([asking], differences);
  const [pushed, pulled] = [itemsOf([asking], offers).items, itemsOf([answering], wants).items];
  for (const [, wire] of pushed) answering.offer(wire, 'exchange');
  for (const [, wire] of pulled) asking.offer(wire, 'exchange');
  return pushed.length + pulled.length;
}

describe('anti-entropy', () => {
  const version = fc.record({ owner: fc.nat(4), key: fc.nat(3), time: fc.nat(5) });
  const versions = fc.array(version, { maxLength: 30 });

  it('makes two replicas equal in one round, and sends nothing that the other side has', () => {
    fc.assert(
      fc.property(versions, versions, fc.nat(), (ours, theirs, seed) => {
        const [asking, answering] = [replica(ours), replica(theirs)];
        const expected = replica([...ours, ...theirs]);
        const differing = new Set<string>();
        for (const owner of expected.owners()) {
          for (const { key, wallMs } of expected.entriesOf(owner)) {
            const same = [asking, answering].every((map) => map.get(owner, key)?.wallMs === wallMs);
            if (!same) differing.add(owner + key);
          }
        }
        assert.equal(exchange(asking, answering, seed), differing.size);
        for (const map of [asking, answering]) {
          assert.deepEqual(new Map(map.hashes()), new Map(expected.hashes()));
        }
        assert.equal(exchange(asking, answering, seed), 0);
      }),
    );
  });

  it('divides what does not fit one message, and comes to an end', () => {
    const many = Array.from({ length: 600 }, (_, at) => ({ owner: at % 40, key: at, time: at % 50 }));
    const [asking, answering] = [replica([]), replica(many, 2_000)];
    let rounds = 0;
    for (
      ;
      new Map(asking.hashes()).size < 40 || asking.hashOf('owner-0') !== answering.hashOf('owner-0');
      rounds += 1
    ) {
      assert.ok(exchange(asking, answering, rounds) * 2_000 <= PAGE_BYTES);
      assert.ok(rounds < 20);
    }
    assert.ok(rounds >= 3);
  });

  it('gossip never exceeds what the transport takes, and arrives as it was sent', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { maxLength: 20 }), (sizes) => {
        const wires = sizes.map((size, at) => {
          const [entry] = replica([{ owner: at % 200, key: 1, time: 1 }], size).entriesOf(
            `owner-${at % 200}`,
          );
          return ['node', toWire(entry!)] as const;
        });
        const messages = encodeGossip(wires);
        for (const message of messages) assert.ok(message.length <= GOSSIP_BYTES_LIMIT, `${message.length}`);
        const arrived = messages.flatMap((message) => decodeGossip(message) ?? []);
        assert.deepEqual(
          arrived.map(([, wire]) => roughBytes(wire)),
          wires.map(([, wire]) => roughBytes(wire)),
        );
      }),
      { numRuns: 30 },
    );
  });
});
