import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { decodeLinkRow, encodeLinkRow, linkRowOf, ROW_LIMIT } from '../../../src/crdt/link-row.ts';
import type { PeerLink } from '../../../src/mesh/index.ts';

describe('the row of links that a node tells', () => {
  const link = fc.record({
    peerId: fc
      .integer({ min: 0, max: 9_999 })
      .map((at) => `12D3KooW${String(at).padStart(44, 'A')}` as PeerId),
    address: fc.constant('/ip4/10.0.0.1/tcp/4100'),
    path: fc.constantFrom('direct' as const, 'relay' as const),
    rttMs: fc.option(fc.double({ min: 0, max: 5_000, noNaN: true }), { nil: undefined }),
    since: fc.constant(0),
  });
  const links: fc.Arbitrary<PeerLink[]> = fc.uniqueArray(link, {
    selector: ({ peerId }) => peerId,
    maxLength: 200,
  });

  it('C10 has a bounded size, and comes back as it was', () => {
    fc.assert(
      fc.property(links, (each) => {
        const row = linkRowOf(each);
        const bytes = encodeLinkRow(row);
        assert.deepEqual(decodeLinkRow(bytes), row);
        assert.equal(row.linkCount, each.length);
        assert.equal(row.links.length, Math.min(ROW_LIMIT, each.length));
        assert.ok(bytes.length <= 1.6 * 2 ** 10, `${bytes.length} bytes`);
      }),
      { numRuns: 50 },
    );
  });

  it('is the same for the same links, in whatever order and however their round trips tremble', () => {
    fc.assert(
      fc.property(
        links.filter(({ length }) => length <= ROW_LIMIT),
        (each) => {
          const steady = each.map((one) => ({ ...one, rttMs: 3.1 }));
          const trembling = steady.map((one, at) => ({ ...one, rttMs: 3.1 + at / 100 })).reverse();
          assert.deepEqual(encodeLinkRow(linkRowOf(trembling)), encodeLinkRow(linkRowOf(steady)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('of foreign bytes is a row or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const row = decodeLinkRow(bytes);
        assert.ok(row === undefined || row.links.length <= ROW_LIMIT);
      }),
      { numRuns: 2_000 },
    );
  });
});
