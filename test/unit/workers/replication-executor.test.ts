import assert from 'node:assert/strict';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import type { BlobId } from '../../../src/blobs/index.ts';
import { BackupEncoder, type BackupHeader } from '../../../src/lease/index.ts';
import { type BackupTaker, ReplicationExecutor } from '../../../src/workers/index.ts';
import { readAll } from '../blobs/support.ts';
import { attemptOf, loneBlobs } from './support.ts';

const HEADER: BackupHeader = {
  ...{ meshId: 'mesh', peerId: 'node-a', epoch: 1, index: 9, term: 2, machineVersion: 1, takenAtMs: 5 },
};
const entries = Array.from({ length: 25 }, (_, at) => ({ key: `a/${at}`, value: `v${at}`, revision: at }));

function backupOf(pieces: readonly Uint8Array[]): BackupTaker {
  const left = [...pieces];
  return {
    begin: async () => ({ id: 'bak_1', header: HEADER }),
    read: () => left.shift(),
    end: () => undefined,
  };
}

function wholeBackup(): Uint8Array[] {
  const encoder = new BackupEncoder();
  return [
    encoder.frame({ kind: 'header', header: HEADER }),
    encoder.frame({ kind: 'records', records: [['key', new Uint8Array([1, 2])]] }),
    encoder.frame({ kind: 'end', recordCount: 1 }),
  ];
}

async function run(payload: object, backups: BackupTaker = backupOf(wholeBackup())) {
  const lone = await loneBlobs();
  const pages: unknown[] = [];
  const executor = new ReplicationExecutor({
    blobs: { ...lone, replicate: async () => [], holders: async () => ['node-a' as PeerId] },
    candidates: () => [],
    backups,
    group: {
      query: async <R>({ body }: { readonly body?: unknown }) => {
        pages.push(body);
        const { cursor } = body as { readonly cursor: string | null };
        const from = cursor === null ? 0 : entries.findIndex(({ key }) => key === cursor) + 1;
        const page = entries.slice(from, from + 10);
        const isLast = from + 10 >= entries.length;
        return { entries: page, ...(!isLast && { cursor: page.at(-1)?.key }) } as R;
      },
    },
  });
  const outcome = await executor.execute(attemptOf(payload));
  // biome-ignore lint/suspicious/noExplicitAny: results of several sources
  return { outcome, result: outcome.result as any, store: lone.store, pages };
}

describe('replication worker', () => {
  it('copies a range of keys into a blob, a line each, page by page', async () => {
    const { outcome, result, store, pages } = await run({ source: 'kv', prefix: 'a/' });
    assert.ok(outcome.ok);
    const text = Buffer.from(await readAll(store, result.blob.id as BlobId)).toString();
    assert.deepEqual(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      entries,
    );
    assert.deepEqual([result.keyCount, result.holders, pages.length], [25, ['node-a'], 3]);
    assert.deepEqual(store.stat(result.blob.id)?.jobs, ['job_1']);
  });

  it('copies a backup, and reads all of it again', async () => {
    const { outcome, result, store } = await run({ source: 'backup' });
    assert.ok(outcome.ok);
    assert.deepEqual([result.recordCount, result.index, result.epoch], [1, 9, 1]);
    assert.deepEqual(Buffer.from(await readAll(store, result.blob.id)), Buffer.concat(wholeBackup()));
  });

  it('fails where what it reads again is no whole backup', async () => {
    const { outcome } = await run({ source: 'backup' }, backupOf(wholeBackup().slice(0, 2)));
    assert.ok(!outcome.ok);
    assert.match(outcome.error.message, /cut short/);
    assert.equal(outcome.error.retryable, true);
  });

  it('is tried elsewhere where this node holds no copy of what is agreed', async () => {
    const none = { ...backupOf([]), begin: () => Promise.reject(new AspenError('CONFLICT', 'no copy here')) };
    const { outcome } = await run({ source: 'backup' }, none);
    assert.ok(!outcome.ok);
    assert.deepEqual([outcome.error.code, outcome.error.retryable], ['UNAVAILABLE', true]);
  });

  it('fails where fewer nodes hold it than were asked for, and says which do', async () => {
    const { outcome, result } = await run({ source: 'kv', copies: 3 });
    assert.ok(!outcome.ok);
    assert.deepEqual([outcome.error.code, result.holders], ['TOO_FEW_COPIES', ['node-a']]);
  });

  it('is refused for what it does not know', async () => {
    const { outcome } = await run({ source: 'disk' });
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.code, 'INVALID_PARAMS');
  });
});
