import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitFault } from '../../../src/storage/lmdb-fault.ts';

/** As lmdb rejects: the reason is behind a promise of its own, which is rejected just before. */
function wrapped(message: string, code: number | string): () => Error {
  const cause = Object.assign(new Error(message), { code });
  return () =>
    Object.assign(new Error('Commit failed (see commitError for details)'), {
      commitError: Promise.reject(cause),
    });
}

describe('fault of a failed commit', () => {
  // A file system without a single free block, on every Linux.
  const fullPath = '/proc/store';
  const roomyPath = join(tmpdir(), 'store');
  const cases: readonly (readonly [string, () => Error, string, string])[] = [
    ['the kernel says that no space is left', wrapped('No space left on device', 28), roomyPath, 'full'],
    [
      'the map cannot grow',
      wrapped('MDB_MAP_FULL: Environment mapsize limit reached', -30792),
      roomyPath,
      'full',
    ],
    ['a short write on a full disk', wrapped('Input/output error', 5), fullPath, 'full'],
    ['an I/O error with room to spare', wrapped('Input/output error', 5), roomyPath, 'sync-failed'],
    ['anything else', () => new Error('Key size is larger'), roomyPath, 'sync-failed'],
  ];
  for (const [why, fail, path, kind] of cases) {
    it(`${why}: ${kind}`, async () => {
      const fault = await commitFault(fail(), { path, valueBytes: 10 });
      assert.equal(fault.kind, kind);
      assert.match(fault.message, new RegExp(path));
      assert.ok(fault.cause instanceof Error);
    });
  }
});
