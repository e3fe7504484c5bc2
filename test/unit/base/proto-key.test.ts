import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decode, encode, protoKeyPath } from '../../../src/base/index.ts';

describe('a field called __proto__', () => {
  it('is found wherever it is, by its path', () => {
    assert.equal(protoKeyPath(JSON.parse('{"a":{"b":[0,{"c":{"__proto__":null}}]}}')), 'a.b[1].c.__proto__');
    assert.equal(protoKeyPath(JSON.parse('[{"__proto__":null}]')), '[0].__proto__');
  });

  it('is not found where nobody wrote it', () => {
    for (const value of [null, 1, '__proto__', {}, { a: {} }, ['__proto__'], Buffer.from('x')])
      assert.equal(protoKeyPath(value), undefined);
  });

  it('is the only one that does not come out of the codec as it went in', () => {
    const name = fc.oneof(
      fc.string(),
      fc.constantFrom('__proto__', 'constructor', 'prototype', '__defineGetter__'),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 4 }, fc.integer(), fc.array(tie('any')), fc.dictionary(name, tie('any'))),
    })).any;
    fc.assert(
      fc.property(value, (given) => {
        const json = JSON.stringify(given);
        const isKept = JSON.stringify(decode(encode(JSON.parse(json)))) === json;
        assert.equal(isKept, protoKeyPath(JSON.parse(json)) === undefined, json);
      }),
    );
  });

  it('is not looked for beyond any depth that is let in', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    assert.equal(protoKeyPath(deep), undefined);
  });
});
