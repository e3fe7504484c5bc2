import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decode, encode, isAsDecoded } from '../../../src/base/index.ts';

describe('isAsDecoded', () => {
  it('is true only of what decodes to itself', () => {
    const any = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
      stringUnit: 'binary',
      key: fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('__proto__', 'constructor', 'toJSON', '\ud83d'),
      ),
    });
    let kept = 0;
    fc.assert(
      fc.property(any, (value) => {
        if (!isAsDecoded(value)) return;
        kept += 1;
        assert.deepStrictEqual(decode(encode(value)), value);
      }),
      { numRuns: 600 },
    );
    assert.ok(kept > 30, `only ${kept} values were looked at`);
  });

  it('is true of what comes as JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6, stringUnit: 'grapheme' }), (text) => {
        const value: unknown = JSON.parse(text);
        assert.equal(isAsDecoded(value), !/-0(?![.\d])|__proto__/.test(text), text);
      }),
    );
  });

  for (const [what, value] of [
    ['half a surrogate pair', { text: 'a\ud83d' }],
    ['half a surrogate pair in a key', { 'a\ud83d': 1 }],
    ['undefined', { a: undefined }],
    ['a hole', new Array(1)],
    ['a negative zero', [-0]],
    ['an object of a class', [new Date(0)]],
    ['bytes', [new Uint8Array(1)]],
    ['a bigint', [1n]],
    ['a function', [() => 1]],
    ['a key that decoders change', JSON.parse('{"__proto__": 1}')],
    ['lists within lists without an end in sight', JSON.parse('['.repeat(40) + ']'.repeat(40))],
  ] as const)
    it(`is not true of ${what}`, () => assert.equal(isAsDecoded(value), false));
});
