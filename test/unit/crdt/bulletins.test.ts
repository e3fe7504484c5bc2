import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BULLETINS_PER_KIND_LIMIT, BulletinSet } from '../../../src/crdt/bulletins.ts';

const isEven = (_key: string, bytes: Uint8Array) => bytes.every((byte) => byte % 2 === 0);

describe('bulletins', () => {
  it('C7: enter only when the verifier of their kind accepts them', () => {
    const set = new BulletinSet({ even: isEven });
    const bytes = (...list: number[]) => Uint8Array.from(list);
    assert.equal(set.add({ kind: 'even', key: 'a', bytes: bytes(2) }, 'gossip'), 'applied');
    assert.equal(set.add({ kind: 'even', key: 'a', bytes: bytes(2) }, 'exchange'), 'known');
    assert.equal(set.add({ kind: 'even', key: 'b', bytes: bytes(3) }, 'gossip'), 'not-signed');
    assert.equal(set.add({ kind: 'even', key: 'a', bytes: bytes(1) }, 'gossip'), 'not-signed');
    assert.equal(set.add({ kind: 'odd', key: 'a', bytes: bytes(2) }, 'gossip'), 'malformed');
    assert.equal(set.add({ kind: 'constructor', key: 'a', bytes: bytes(2) }, 'gossip'), 'malformed');
    assert.equal(set.add({ kind: 'even', key: 'c', bytes: new Uint8Array(5_000) }, 'gossip'), 'limit');
    assert.equal(set.add({ kind: 'even', key: '', bytes: bytes(2) }, 'gossip'), 'malformed');
    assert.deepEqual(set.all('even'), [{ kind: 'even', key: 'a', bytes: bytes(2) }]);
  });

  it('whatever has not their shape is refused', () => {
    const set = new BulletinSet({ even: isEven });
    fc.assert(
      fc.property(fc.anything(), (foreign) => assert.equal(set.offer(foreign, 'gossip'), 'malformed')),
    );
  });

  it('C6: the same ones stay in whatever order they come, and none is ever lost', () => {
    const document = fc.tuple(
      fc.constant('even'),
      fc.constantFrom('a', 'b', 'c'),
      fc.uint8Array({ maxLength: 3 }).map((bytes) => bytes.map((byte) => byte & 0xfe)),
    );
    fc.assert(
      fc.property(fc.array(document, { maxLength: 12 }), (documents) => {
        const [one, other] = [new BulletinSet({ even: isEven }), new BulletinSet({ even: isEven })];
        for (const each of documents) one.offer(each, 'gossip');
        for (const each of [...documents.toReversed(), ...documents]) other.offer(each, 'exchange');
        assert.deepEqual(one.stampsOf('even').toSorted(), other.stampsOf('even').toSorted());
        assert.equal(one.hashOf('even'), other.hashOf('even'));
        assert.equal(one.all('even').length, new Set(documents.map(([, key]) => key)).size);
      }),
    );
  });

  it('are no more than so many of one kind, and a full kind still takes a better one of a key it has', () => {
    const set = new BulletinSet({ even: isEven });
    const document = (key: string, ...bytes: number[]) => ({
      kind: 'even',
      key,
      bytes: Uint8Array.from(bytes),
    });
    for (let at = 0; at < BULLETINS_PER_KIND_LIMIT; at += 1) set.add(document(`${at}`, 2), 'gossip');
    assert.equal(set.add(document('one more', 2), 'gossip'), 'limit');
    assert.equal(set.add(document('7', 4), 'gossip'), 'applied');
    assert.equal(set.all('even').length, BULLETINS_PER_KIND_LIMIT);
  });

  it('are kept in memory of their own', () => {
    const set = new BulletinSet({ even: isEven });
    const bytes = Buffer.from([2]);
    set.add({ kind: 'even', key: 'a', bytes }, 'self');
    bytes[0] = 3;
    assert.deepEqual([...(set.all('even')[0]?.bytes ?? [])], [2]);
  });
});
