import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BulletinSet } from '../../../src/crdt/bulletins.ts';

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
});
