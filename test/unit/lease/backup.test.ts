import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import {
  BackupDecoder,
  BackupEncoder,
  type BackupFrame,
  BackupSource,
  RestoredStore,
} from '../../../src/lease/index.ts';
import { MemoryStore } from '../../../src/storage/index.ts';
import { World } from './world.ts';

const header = { meshId: 'm', peerId: 'p', epoch: 1, index: 9, term: 2, machineVersion: 1, takenAtMs: 5 };
const frames: BackupFrame[] = [
  { kind: 'header', header },
  {
    kind: 'records',
    records: [
      ['kv/a', Uint8Array.of(1, 2)],
      ['kv/b', new Uint8Array(300)],
    ],
  },
  { kind: 'records', records: [['kv/c', new Uint8Array(0)]] },
  { kind: 'end', recordCount: 3 },
];
function encoded(list: readonly BackupFrame[] = frames): Buffer {
  const encoder = new BackupEncoder();
  return Buffer.concat(list.map((frame) => encoder.frame(frame)));
}
function decoded(bytes: Uint8Array, step = bytes.length): BackupFrame[] {
  const decoder = new BackupDecoder();
  const found: BackupFrame[] = [];
  for (let at = 0; at < bytes.length; at += step) found.push(...decoder.push(bytes.subarray(at, at + step)));
  decoder.end();
  return found;
}
const isRefusal = (error: unknown) => error instanceof AspenError && error.code === 'CONFLICT';

describe('the format of backups', () => {
  it('comes back as it was, in pieces of any size', () => {
    for (const step of [1, 7, 64, 10_000]) {
      assert.deepEqual(
        decoded(encoded(), step).map(({ kind }) => kind),
        ['header', 'records', 'records', 'end'],
      );
    }
  });

  it('K4: notices a change of any byte', () => {
    const whole = encoded();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const damaged = Buffer.from(whole);
        damaged.writeUInt8(damaged.readUInt8(at) ^ mask, at);
        assert.throws(() => decoded(damaged, 50), isRefusal);
      }),
      { numRuns: 400 },
    );
  });

  it('K4: notices an end that comes too early, anywhere, and whatever follows the end', () => {
    const whole = encoded();
    for (let length = 0; length < whole.length; length += 1)
      assert.throws(() => decoded(whole.subarray(0, length)), isRefusal);
    assert.throws(() => decoded(Buffer.concat([whole, Buffer.of(0)])), isRefusal);
  });

  it('K4: notices frames that are missing or in another order', () => {
    const [head, first, second, end] = frames as [BackupFrame, BackupFrame, BackupFrame, BackupFrame];
    for (const list of [
      [head, first, end],
      [first, head, second, end],
      [head, head, first, second, end],
    ]) {
      assert.throws(() => decoded(encoded(list)), isRefusal);
    }
  });
});

describe('a backup', () => {
  const put = (key: string, value: string) => ({ module: 'kv', kind: 'put', body: { key, value } });
  const get = (key: string) => ({ module: 'kv', kind: 'get', body: { key } });

  it('Q2: becomes the only voter of a later epoch, whose tokens and revisions are above all earlier ones', async () => {
    const world = new World();
    const node = await world.addNode();
    await world.found(node);
    let last = 0;
    for (let at = 0; at < 30; at += 1) {
      const { revision } = await world.clock.until(
        node.group.client.propose<{ revision: number }>(put(`k${at}`, `${at}`)),
      );
      last = revision;
    }
    await world.clock.advance(1_500); // tables go to disk once a second
    const store = new MemoryStore();
    using source = new BackupSource(node.store, { meshId: 'm', peerId: node.peerId, takenAtMs: 1 });
    await world.clock.until(node.group.client.propose(put('later', 'x')));
    const restored = new RestoredStore(store, source.header);
    const decoder = new BackupDecoder();
    for (let piece = source.next(); piece !== undefined; piece = source.next()) {
      for (const frame of decoder.push(piece))
        if (frame.kind === 'records') await restored.add(frame.records);
    }
    decoder.end();

    const other = new World();
    const identity = (await other.addNode()).identity;
    await other.kill(other.nodes[0] as (typeof other.nodes)[0]);
    assert.equal(await restored.finish(identity.peerId as PeerId), 2);
    const again = await other.restart({ ...(other.nodes[0] as (typeof other.nodes)[0]), store });
    await other.found(again);
    const value = await other.clock.until(again.group.client.query<{ value: string }>(get('k29')));
    assert.equal(value.value, '29');
    assert.equal(
      await other.clock.until(again.group.client.query(get('later'))),
      null,
      'it is of its moment',
    );
    const { revision } = await other.clock.until(
      again.group.client.propose<{ revision: number }>(put('new', 'x')),
    );
    assert.ok(revision > last + 2 ** 39, 'revisions go on far above');
    assert.deepEqual(again.group.status().voters, [again.peerId]);
    await other.stop();
    await world.stop();
  });
});
