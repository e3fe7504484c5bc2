import assert from 'node:assert/strict';
import { BlobUploads } from '../../../src/agent/blob-uploads.ts';
import { type Logger, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import type { BlobStore, Upload } from '../../../src/blobs/index.ts';
import type { Connection } from '../../../src/rpc/index.ts';
import { bytesOf, openStore } from '../blobs/support.ts';

function connection(): Connection & { readonly abort: AbortController } {
  const abort = new AbortController();
  return { abort, signal: abort.signal } as unknown as Connection & { readonly abort: AbortController };
}

describe('an upload over the socket', () => {
  const uploads = new BlobUploads({ random: new SeededRandom(1), logger: silentLogger });
  const write = (id: string, offset: number, bytes: Uint8Array, from: Connection) =>
    uploads.write(id, { offset, bytes }, from);

  it('takes pieces in order, each once however often it is sent', async () => {
    const { store } = await openStore();
    const client = connection();
    const id = uploads.begin(store, client);
    assert.equal(await write(id, 0, bytesOf(10), client), 10);
    assert.equal(await write(id, 0, bytesOf(10), client), 10);
    await assert.rejects(write(id, 11, bytesOf(1), client), { code: 'CONFLICT' });
    assert.equal(await write(id, 10, bytesOf(5), client), 15);
    const { sizeBytes } = await uploads.take(id, client).commit();
    assert.equal(sizeBytes, 15);
    await assert.rejects(write(id, 15, bytesOf(1), client), { code: 'NOT_FOUND' });
  });

  it('belongs to its connection, and ends with it', async () => {
    const { store } = await openStore();
    const client = connection();
    const id = uploads.begin(store, client);
    await write(id, 0, bytesOf(10), client);
    await assert.rejects(write(id, 10, bytesOf(1), connection()), { code: 'NOT_FOUND' });
    assert.equal(await uploads.abort(id, connection()), false);
    client.abort.abort();
    await assert.rejects(write(id, 10, bytesOf(1), client), { code: 'NOT_FOUND' });
    assert.equal(store.usedBytes, 0);
  });

  it('is told of when its connection ends and it cannot be removed', async () => {
    const warnings: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      child: () => logger,
      warn: (_facts: object, message?: string) => void warnings.push(message ?? ''),
    } as Logger;
    const broken = new BlobUploads({ random: new SeededRandom(1), logger });
    const upload = { abort: () => Promise.reject(new Error('the disk is gone')) } as unknown as Upload;
    const client = connection();
    broken.begin({ begin: () => upload } as unknown as BlobStore, client);
    client.abort.abort();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, ['what was uploaded of a blob could not be removed, the next start does it']);
  });

  it('is given up when it does not fit', async () => {
    const { store } = await openStore(undefined, { quotaBytes: 100 });
    const client = connection();
    const id = uploads.begin(store, client);
    await write(id, 0, bytesOf(90), client);
    await assert.rejects(write(id, 90, bytesOf(11), client), { code: 'RESOURCE_EXHAUSTED' });
    assert.equal(store.usedBytes, 0);
  });

  it('is refused when too many are open', async () => {
    const { store } = await openStore();
    const client = connection();
    for (let count = 0; count < 64; count += 1) uploads.begin(store, client);
    assert.throws(() => uploads.begin(store, client), { code: 'RESOURCE_EXHAUSTED' });
    client.abort.abort();
    uploads.begin(store, connection());
  });
});
