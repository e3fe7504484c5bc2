import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { NodeBook } from '../../../src/crdt/node-book.ts';
import { profileOf } from './support.ts';

describe('node book', () => {
  it('names all that it knows in the order of their peer ids, however they came and went', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 20 })), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const book = new NodeBook({ self: 'self' as PeerId, nowMs: () => 0 });
        const known = new Set<string>();
        for (const [isNamed, number] of all) {
          const peerId = `peer-${number}` as PeerId;
          if (isNamed) known.add(peerId);
          else known.delete(peerId);
          book.describe(peerId, isNamed ? profileOf(peerId) : undefined);
        }
        assert.deepEqual(
          book.entries().map(({ peerId }) => peerId),
          [...known].toSorted(),
        );
      }),
    );
  });
});
