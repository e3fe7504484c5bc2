import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isBlobPayload, isLongerThan } from '../../../src/jobs/index.ts';

const ID = 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq';

describe('a payload that is a blob', () => {
  it('is told from one that only looks like it', () => {
    const blob = { id: ID, sizeBytes: 5, nodes: ['a'] };
    assert.equal(isBlobPayload({ $blob: blob }), true);
    for (const other of [
      null,
      'x',
      ID,
      {},
      { $blob: ID },
      { $blob: { ...blob, id: '../x' } },
      { $blob: { ...blob, sizeBytes: '5' } },
      { $blob: { ...blob, nodes: [1] } },
      { $blob: { id: ID, sizeBytes: 5 } },
      { $blob: blob, command: 'true' },
    ])
      assert.equal(isBlobPayload(other), false, JSON.stringify(other));
  });

  it('is what is longer than the limit, by and large: about as JSON has it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.integer({ min: 50, max: 500 }), (text, limit) => {
        const value: unknown = JSON.parse(text);
        const plain = JSON.stringify(value).replaceAll(/\\(u....|.)/g, 'x').length;
        if (isLongerThan(value, limit))
          assert.ok(plain * 4 + 8 > limit, `${plain} is not longer than ${limit}`);
        else assert.ok(plain <= limit * 6, `${plain} is longer than ${limit}`);
      }),
    );
    assert.equal(isLongerThan('x'.repeat(65_536), 65_536), true);
    assert.equal(
      isLongerThan(
        Array.from({ length: 20_000 }, () => 1),
        65_536,
      ),
      true,
    );
    assert.equal(isLongerThan({ a: 'x'.repeat(60_000) }, 65_536), false);
    assert.equal(isLongerThan(undefined, 65_536), false);
  });
});
