import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Masker } from '../../../src/secrets/index.ts';

function mask(values: readonly string[], pieces: readonly string[]): string {
  const masker = new Masker(values.map((value) => Buffer.from(value)));
  const parts = pieces.map((piece) => Buffer.from(masker.push(Buffer.from(piece))).toString());
  return [...parts, Buffer.from(masker.end()).toString()].join('');
}

describe('masking of secret values', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
    ['finds a value', ['s3cret'], ['my s3cret!'], 'my [secret]!'],
    ['finds one that is cut', ['s3cret'], ['my s3', 'cre', 't!'], 'my [secret]!'],
    ['finds one byte by byte', ['abab1'], [...'xabababab1y'], 'xabab[secret]y'],
    ['takes the longer of two', ['token', 'token-long'], ['token', '-long token.'], '[secret] [secret].'],
    ['does not tear one that holds another', ['abcdefgh', 'cdef'], ['abcdef', 'gh'], '[secret]'],
    [
      'masks the shorter where the longer does not come',
      ['abcdefgh', 'cdef'],
      ['abcdef', 'XX'],
      'ab[secret]XX',
    ],
    ['masks the shorter at the end', ['token', 'token-long'], ['a token'], 'a [secret]'],
    ['knows a value without its last line feed', ['s3cret\n'], ['s3cret'], '[secret]'],
    [
      'masks long lines of a value',
      ['-----BEGIN\nABCDEFGHIJ\nxy\n'],
      ['> ABCDEFGHIJ <, xy'],
      '> [secret] <, xy',
    ],
    ['leaves short values alone', ['ab'], ['abab'], 'abab'],
    ['lets go what was no value', ['s3cret'], ['s3cre', 'me'], 's3creme'],
  ];
  for (const [name, values, pieces, expected] of cases)
    it(name, () => assert.equal(mask(values, pieces), expected));

  it('says the same however the stream is cut, and never lets a value through', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 0, maxLength: 60 });
    const values = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 8 }), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(text, values, fc.array(fc.integer({ min: 1, max: 7 })), (whole, secrets, cuts) => {
        const pieces: string[] = [];
        let at = 0;
        for (const length of cuts) {
          pieces.push(whole.slice(at, at + length));
          at += length;
        }
        const cut = mask(secrets, [...pieces, whole.slice(at)]);
        for (const secret of secrets) assert.ok(!cut.includes(secret), `${cut} has ${secret}`);
        assert.equal(cut.replaceAll('[secret]', '').includes('c'), whole.includes('c'));
        if (secrets.length === 1) assert.equal(cut, whole.replaceAll(secrets[0] as string, '[secret]'));
      }),
      { numRuns: 2_000 },
    );
  });

  it('holds back less than the longest value', () => {
    const masker = new Masker([Buffer.from('s3cret')]);
    assert.equal(masker.push(Buffer.from('no part of it')).length, 13);
    assert.equal(masker.push(Buffer.from('s3cre')).length, 0);
  });
});
