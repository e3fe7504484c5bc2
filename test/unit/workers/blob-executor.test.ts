import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import type { BlobId, Blobs } from '../../../src/blobs/index.ts';
import { BlobExecutor, parseBlobJob } from '../../../src/workers/index.ts';
import { OsCodecs } from '../../../src/workers/os-codecs.ts';
import { bytesOf, readAll } from '../blobs/support.ts';
import { attemptOf, loneBlobs } from './support.ts';

const NOWHERE = 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq';

/** Nodes beside this one, of which some refuse copies, and some lie. */
async function ground({
  others = [],
  refusing = [],
  lying = [],
}: Readonly<Record<string, readonly string[]>> = {}) {
  const lone = await loneBlobs();
  const holding = new Set<string>();
  const replicate: Blobs['replicate'] = async (_, { count, candidates }) => {
    const taken = candidates.filter((peerId) => !refusing.includes(peerId)).slice(0, count);
    for (const peerId of taken) if (!lying.includes(peerId)) holding.add(peerId);
    return taken;
  };
  const holders: Blobs['holders'] = async () => ['node-a' as PeerId, ...([...holding] as PeerId[])];
  const blobs = { ...lone, replicate, holders };
  const executor = new BlobExecutor({
    blobs,
    codecs: new OsCodecs(),
    candidates: () => others as readonly PeerId[],
  });
  const execute = async (payload: object, signal?: AbortSignal) => {
    const outcome = await executor.execute(attemptOf(payload, signal));
    // biome-ignore lint/suspicious/noExplicitAny: results of several operations
    return { outcome, result: outcome.result as any };
  };
  return { store: lone.store, execute };
}

function errorOf(outcome: Awaited<ReturnType<BlobExecutor['execute']>>) {
  assert.ok(!outcome.ok);
  return outcome.error;
}

describe('blob worker', () => {
  const long = bytesOf(800_000);

  for (const [format, unpack] of [
    ['gzip', gunzipSync],
    ['zstd', zstdDecompressSync],
  ] as const)
    it(`compresses to ${format}, and back to the same blob`, async () => {
      const { store, execute } = await ground();
      const { id } = await store.add(long);
      const packed = await execute({ op: 'compress', blob: id, format });
      assert.ok(packed.outcome.ok);
      const made = packed.result.blob as { id: BlobId; sizeBytes: number };
      assert.ok(made.sizeBytes < long.length);
      assert.deepEqual(new Uint8Array(unpack(await readAll(store, made.id))), long);
      assert.deepEqual(store.stat(made.id)?.jobs, ['job_1']);
      const back = await execute({ op: 'decompress', blob: made.id, format });
      assert.deepEqual(back.result.blob, { id, sizeBytes: long.length });
    });

  it('sums up, as others do', async () => {
    const { store, execute } = await ground();
    const { id } = await store.add(long);
    for (const algorithm of ['sha256', 'md5']) {
      const { result } = await execute({ op: 'checksum', blob: id, algorithm });
      assert.equal(result.hex, createHash(algorithm).update(long).digest('hex'));
    }
  });

  it('gives up what decompresses to more than it may, and what is not compressed; nothing of it stays', async () => {
    const { store, execute } = await ground();
    const { id: bomb } = await store.add(new Uint8Array(gzipSync(new Uint8Array(5_000_000))));
    const blown = await execute({ op: 'decompress', blob: bomb, maxBytes: 1_000_000 });
    assert.deepEqual(
      [errorOf(blown.outcome).code, errorOf(blown.outcome).retryable],
      ['INVALID_PARAMS', false],
    );
    const { id: plain } = await store.add(long);
    for (const format of ['gzip', 'zstd']) {
      const wrong = await execute({ op: 'decompress', blob: plain, format });
      assert.deepEqual(
        [errorOf(wrong.outcome).code, errorOf(wrong.outcome).retryable],
        ['INVALID_PARAMS', false],
      );
    }
    const { id: cut } = await store.add(new Uint8Array(gzipSync(long).subarray(0, 500)));
    assert.equal((await execute({ op: 'decompress', blob: cut })).outcome.ok, false);
    assert.equal(store.list().length, 3);
  });

  it('copies to as many nodes as it is asked, and counts those that say they have it', async () => {
    const { store, execute } = await ground({ others: ['node-b', 'node-c', 'node-d'], refusing: ['node-b'] });
    const { id } = await store.add(long);
    const { outcome, result } = await execute({ op: 'replicate', blob: id, copies: 3 });
    assert.ok(outcome.ok);
    assert.deepEqual(result.holders, ['node-a', 'node-c', 'node-d']);
  });

  it('believes no node that took a copy and does not have it', async () => {
    const { store, execute } = await ground({ others: ['node-b', 'node-c'], lying: ['node-c'] });
    const { id } = await store.add(long);
    const { outcome, result } = await execute({ op: 'replicate', blob: id, copies: 3 });
    assert.deepEqual([errorOf(outcome).code, errorOf(outcome).retryable], ['TOO_FEW_COPIES', true]);
    assert.deepEqual(result.holders, ['node-a', 'node-b']);
  });

  it('ends when it is told to', async () => {
    const { store, execute } = await ground();
    const { id } = await store.add(long);
    const stop = new AbortController();
    stop.abort('cancelled');
    assert.equal(
      errorOf((await execute({ op: 'compress', blob: id }, stop.signal)).outcome).code,
      'CANCELLED',
    );
  });

  for (const [payload, path] of [
    [{}, 'payload.op'],
    [{ op: 'shrink', blob: NOWHERE }, 'payload.op'],
    [{ op: 'compress' }, 'payload.blob'],
    [{ op: 'compress', blob: NOWHERE, format: 'rar' }, 'payload.format'],
    [{ op: 'checksum', blob: NOWHERE, algorithm: 'crc' }, 'payload.algorithm'],
    [{ op: 'replicate', blob: NOWHERE }, 'payload.copies'],
    [{ op: 'replicate', blob: NOWHERE, copies: 0 }, 'payload.copies'],
    [{ op: 'checksum', blob: NOWHERE, copies: 2 }, 'payload.copies'],
  ] as const)
    it(`refuses ${JSON.stringify(payload)}, naming ${path}`, () => {
      assert.throws(
        () => parseBlobJob(payload),
        (error) => error instanceof AspenError && error.details.issues?.[0]?.path === path,
      );
    });
});
