import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  BULLETIN_BYTES_LIMIT,
  BULLETINS_PER_KIND_LIMIT,
  type Bulletin,
  BulletinSet,
} from '../../../src/crdt/bulletins.ts';

const accepting = { notice: () => true };

function bulletin(key: string, text: string, kind = 'notice'): Bulletin {
  return { kind, key, bytes: Buffer.from(text) };
}

function contents(set: BulletinSet): readonly unknown[] {
  return [
    set.hashOf('notice'),
    set
      .all('notice')
      .map(({ key, bytes }) => [key, Buffer.from(bytes).toString()])
      .toSorted(),
  ];
}

function filled(bulletins: readonly Bulletin[]): BulletinSet {
  const set = new BulletinSet(accepting);
  for (const each of bulletins) set.add(each, 'gossip');
  return set;
}

describe('bulletins', () => {
  const some = fc.array(
    fc
      .record({ key: fc.constantFrom('a', 'b', 'c'), text: fc.constantFrom('', 'x', 'y', 'xy', 'z') })
      .map(({ key, text }) => bulletin(key, text)),
    { maxLength: 12 },
  );

  it('C6: the order and the number of arrivals make no difference, and of each key the greatest bytes stay', () => {
    fc.assert(
      fc.property(some, some, (left, right) => {
        const greatest = new Map<string, string>();
        for (const { key, bytes } of [...left, ...right]) {
          const text = Buffer.from(bytes).toString();
          if (text >= (greatest.get(key) ?? '')) greatest.set(key, text);
        }
        const set = filled([...left, ...right]);
        assert.deepEqual(contents(set)[1], [...greatest].toSorted());
        assert.deepEqual(contents(filled([...right, ...left, ...right])), contents(set));
      }),
    );
  });

  it('C6: nothing takes a document away, and a lesser one of its key is known already', () => {
    const set = filled([bulletin('a', 'y')]);
    assert.equal(set.add(bulletin('a', 'x'), 'gossip'), 'known');
    assert.equal(set.add(bulletin('a', 'y'), 'gossip'), 'known');
    assert.deepEqual(contents(set)[1], [['a', 'y']]);
  });

  it('C7: asks the verifier of the kind, with the key that the document claims', () => {
    const set = new BulletinSet({ notice: (key, bytes) => Buffer.from(bytes).toString() === `for ${key}` });
    assert.equal(set.add(bulletin('a', 'for a'), 'gossip'), 'applied');
    assert.equal(set.add(bulletin('b', 'for a'), 'gossip'), 'not-signed');
    assert.equal(set.add(bulletin('a', 'for a', 'other'), 'gossip'), 'malformed');
    assert.equal(set.add(bulletin('a', 'for a', 'constructor'), 'gossip'), 'malformed');
    assert.equal(set.all('notice').length, 1);
  });

  it('C7: refuses whatever has not the shape of a bulletin', () => {
    const set = new BulletinSet(accepting);
    for (const foreign of [
      undefined,
      7,
      [],
      ['notice', 'a'],
      ['notice', '', new Uint8Array()],
      ['notice', 1, 2],
    ])
      assert.equal(set.offer(foreign, 'gossip'), 'malformed');
    fc.assert(
      fc.property(fc.anything(), (foreign) => assert.equal(set.offer(foreign, 'gossip'), 'malformed')),
    );
    assert.equal(set.offer(['notice', 'a', Buffer.from('x')], 'gossip'), 'applied');
  });

  it('takes no document that is too long, and no more than so many of one kind', () => {
    const set = new BulletinSet(accepting);
    assert.equal(set.add(bulletin('a', 'x'.repeat(BULLETIN_BYTES_LIMIT + 1)), 'gossip'), 'limit');
    for (let at = 0; at < BULLETINS_PER_KIND_LIMIT; at += 1) set.add(bulletin(`${at}`, 'x'), 'gossip');
    assert.equal(set.add(bulletin('one more', 'x'), 'gossip'), 'limit');
    assert.equal(set.add(bulletin('7', 'y'), 'gossip'), 'applied', 'a better one of a key that is here');
    assert.equal(set.all('notice').length, BULLETINS_PER_KIND_LIMIT);
  });

  it('keeps its own copy of what it was given', () => {
    const bytes = Buffer.from('x');
    const set = filled([{ kind: 'notice', key: 'a', bytes }]);
    bytes.write('y');
    assert.deepEqual(contents(set)[1], [['a', 'x']]);
  });
});
