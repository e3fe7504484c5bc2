import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogIndex, PeerId, Term } from '../../../src/base/index.ts';
import { LogStore } from '../../../src/lease/log-store.ts';
import type { Configuration, Entry } from '../../../src/lease/raft/index.ts';
import { MemoryStore, numberKey, StorageFault, WriteBuffer } from '../../../src/storage/index.ts';

const at = (index: number) => index as LogIndex;
const keyOf = (index: number) => `l/${numberKey(index)}`;

function entry(index: number, text = `entry ${index}`, term = 1): Entry {
  return {
    term: term as Term,
    index: at(index),
    kind: 'command',
    payload: new TextEncoder().encode(text),
  };
}

function configurationEntry(index: number, voters: readonly string[]): Entry {
  const configuration: Configuration = { voters: voters as PeerId[], outgoing: [], learners: [] };
  return {
    term: 1 as Term,
    index: at(index),
    kind: 'configuration',
    payload: new Uint8Array(0),
    configuration,
  };
}

async function storeWith(entries: readonly Entry[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  const buffer = new WriteBuffer(store);
  new LogStore(buffer).append(entries);
  await buffer.flush();
  return store;
}

const isDamage = (error: unknown) => error instanceof StorageFault && error.kind === 'damaged';

const ten = Array.from({ length: 10 }, (_, position) => entry(position + 1));

describe('the log on disk', () => {
  it('gives back what was appended, also after a restart', async () => {
    const log = new LogStore(new WriteBuffer(await storeWith(ten)));
    assert.equal(log.lastIndex(), 10);
    const read = log.entries(at(1), at(11), 2 ** 20);
    assert.deepEqual(
      read.map(({ index, payload }) => [index, new TextDecoder().decode(payload)]),
      ten.map(({ index }) => [index, `entry ${index}`]),
    );
  });

  it('cuts a reading at its limit, but gives at least one entry', async () => {
    const log = new LogStore(new WriteBuffer(await storeWith(ten)));
    assert.equal(log.entries(at(3), at(9), 0).length, 1);
    assert.ok(log.entries(at(3), at(9), 60).length < 6);
  });

  const damages: readonly (readonly [string, (bytes: Uint8Array, store: MemoryStore) => Promise<void>])[] = [
    [
      'a flipped bit',
      (bytes, store) => {
        const flipped = bytes.slice();
        flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
        return store.write([{ type: 'put', key: keyOf(5), value: flipped }]);
      },
    ],
    ['a missing entry', (_bytes, store) => store.write([{ type: 'delete', key: keyOf(5) }])],
    [
      'an entry in another place',
      (bytes, store) => store.write([{ type: 'put', key: keyOf(6), value: bytes }]),
    ],
    [
      'an entry cut short',
      (bytes, store) => store.write([{ type: 'put', key: keyOf(5), value: bytes.slice(0, 3) }]),
    ],
  ];
  for (const [what, damage] of damages) {
    it(`notices ${what} at the start and when it reads`, async () => {
      const store = await storeWith(ten);
      const open = new LogStore(new WriteBuffer(store));
      await damage(store.get(keyOf(5)) as Uint8Array, store);
      assert.throws(() => new LogStore(new WriteBuffer(store)), isDamage);
      assert.throws(() => {
        for (let index = 1; index <= 10; index += 1) open.entries(at(index), at(index + 1), 0);
      }, isDamage);
    });
  }

  it('knows the latest configuration, also when the one after it was cut away or dropped', async () => {
    const buffer = new WriteBuffer(new MemoryStore());
    const log = new LogStore(buffer);
    log.append([configurationEntry(1, ['a']), entry(2), configurationEntry(3, ['a', 'b']), entry(4)]);
    assert.deepEqual(log.configuration.voters, ['a', 'b']);
    log.truncate(at(3));
    assert.deepEqual(log.configuration.voters, ['a']);
    log.compact(at(2));
    assert.deepEqual(log.snapshotMeta().configuration.voters, ['a']);
    await buffer.flush();
  });

  it('behaves like a plain list under any order of appending, cutting, dropping and restarting', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ do: fc.constant('truncate' as const), back: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ do: fc.constant('compact' as const), ahead: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('restart' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const store = new MemoryStore();
        let buffer = new WriteBuffer(store);
        let log = new LogStore(buffer);
        let base = 0;
        const list: string[] = [];
        let written = 0;
        for (const each of steps) {
          const last = base + list.length;
          if (each.do === 'append') {
            const texts = Array.from({ length: each.count }, () => `text ${written++}`);
            log.append(texts.map((text, offset) => entry(last + 1 + offset, text)));
            list.push(...texts);
          } else if (each.do === 'truncate' && last - each.back > base) {
            log.truncate(at(last - each.back));
            list.splice(list.length - each.back - 1);
          } else if (each.do === 'compact' && base + each.ahead <= last) {
            log.compact(at(base + each.ahead));
            list.splice(0, each.ahead);
            base += each.ahead;
          } else if (each.do === 'restart') {
            await buffer.flush();
            buffer = new WriteBuffer(store);
            log = new LogStore(buffer);
          }
          assert.equal(log.firstIndex(), base + 1);
          assert.equal(log.lastIndex(), base + list.length);
          const read = log.entries(log.firstIndex(), at(base + list.length + 1), 2 ** 20);
          assert.deepEqual(
            read.map(({ payload }) => new TextDecoder().decode(payload)),
            list,
          );
        }
      }),
      { numRuns: 80 },
    );
  });
});
