import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KeyTable } from '../../../src/storage/index.ts';
import { SortedKeys } from '../../../src/storage/sorted-keys.ts';

describe('sorted keys', () => {
  it('agree with a sorted array, over many chunks', () => {
    const key = fc.nat(3_000).map((number) => number.toString(36));
    fc.assert(
      fc.property(
        fc.array(key, { maxLength: 2_500, minLength: 800, size: 'max' }),
        fc.array(key, { maxLength: 400 }),
        fc.nat(1_200),
        key,
        key,
        (added, removed, leftFromHead, from, to) => {
          const keys = new SortedKeys();
          for (const each of added) keys.add(each);
          for (const each of removed) keys.remove(each);
          const left = [...new Set(added)].filter((each) => !removed.includes(each)).sort();
          for (const each of left.slice(0, leftFromHead)) keys.remove(each);
          const expected = left.slice(leftFromHead);
          const inRange = expected.filter((each) => each >= from && each < to);
          assert.equal(keys.size, expected.length);
          assert.deepEqual([...keys.range({ from: '', to: '~' })], expected);
          assert.deepEqual([...keys.range({ from, to })], inRange);
          assert.deepEqual([...keys.range({ from, to, reverse: true })], inRange.reverse());
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('key table', () => {
  it('a clone goes its own way', () => {
    const table = new KeyTable();
    table.apply([{ type: 'put', key: 'a', value: new Uint8Array([1]) }]);
    const copy = table.clone();
    table.apply([{ type: 'deleteRange', from: '', to: 'z' }]);
    copy.apply([{ type: 'put', key: 'b', value: new Uint8Array([2]) }]);
    assert.equal(table.size, 0);
    assert.deepEqual(
      [...copy.range({ from: '', to: 'z' })].map(([key]) => key),
      ['a', 'b'],
    );
  });
});
