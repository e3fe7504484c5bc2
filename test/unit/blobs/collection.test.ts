import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type BlobId, collectable, type KeptBlob } from '../../../src/blobs/index.ts';

const blobs = fc
  .array(
    fc.record({
      heldBytes: fc.integer({ min: 0, max: 100 }),
      isPinned: fc.boolean(),
      referenceCount: fc.integer({ min: 0, max: 1 }),
      origin: fc.constantFrom('added' as const, 'fetched' as const),
      usedAtMs: fc.integer({ min: 0, max: 1_000 }),
      isInUse: fc.boolean(),
    }),
    { maxLength: 20 },
  )
  .map((kept): KeptBlob[] => kept.map((blob, at) => ({ ...blob, id: `b${at}` as BlobId })));

describe('what is collected', () => {
  it('is never pinned, referenced or in use, is all that is old, and no more copies than room is needed for', () => {
    fc.assert(
      fc.property(blobs, fc.integer({ min: 0, max: 300 }), (kept, neededBytes) => {
        const need = { nowMs: 1_000, graceMs: 400, neededBytes };
        const gone = new Set(collectable(kept, need));
        const isFree = (blob: KeptBlob) => !blob.isPinned && blob.referenceCount === 0 && !blob.isInUse;
        const isOld = (blob: KeptBlob) => blob.usedAtMs <= 600;
        const young = kept.filter((blob) => isFree(blob) && !isOld(blob) && gone.has(blob.id));
        for (const blob of kept) {
          if (gone.has(blob.id)) assert.ok(isFree(blob), 'G1');
          if (isFree(blob) && isOld(blob)) assert.ok(gone.has(blob.id), 'G2');
        }
        for (const blob of young) assert.equal(blob.origin, 'fetched', 'G3: only copies go early');
        const freed = (all: readonly KeptBlob[]) => all.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
        const last = young.toSorted((left, right) => left.usedAtMs - right.usedAtMs).at(-1);
        if (last !== undefined) {
          const all = kept.filter(({ id }) => gone.has(id));
          const latest = young.filter(({ usedAtMs }) => usedAtMs === last.usedAtMs);
          const least = Math.max(...latest.map(({ heldBytes }) => heldBytes));
          assert.ok(freed(all) - least < neededBytes || latest.length > 1, 'G3: no more than needed');
        }
        const spared = kept.filter((blob) => isFree(blob) && !gone.has(blob.id) && blob.origin === 'fetched');
        if (spared.length > 0)
          assert.ok(freed(kept.filter(({ id }) => gone.has(id))) >= neededBytes, 'G3: enough');
      }),
    );
  });
});
