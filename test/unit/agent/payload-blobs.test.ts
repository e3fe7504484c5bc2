import assert from 'node:assert/strict';
import { PayloadBlobs } from '../../../src/agent/payload-blobs.ts';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import type { BlobId, Blobs } from '../../../src/blobs/index.ts';
import { isBlobPayload } from '../../../src/jobs/index.ts';
import { openStore } from '../blobs/support.ts';
import { ManualClock } from '../mesh/support.ts';

const SELF = 'self' as PeerId;
const OTHER = 'other' as PeerId;
const LONG = { text: 'long '.repeat(100_000), numbers: [1, 2, 3] };

async function ground({ patienceMs = 60_000 } = {}) {
  const { store } = await openStore();
  const clock = new ManualClock();
  let failures = 0;
  const replicated: unknown[] = [];
  const blobs: Pick<Blobs, 'store' | 'ensure' | 'replicate'> = {
    store,
    ensure: async (id: BlobId) => {
      const stat = store.stat(id);
      if (stat !== undefined && failures-- <= 0) return stat;
      throw new AspenError('NOT_FOUND', 'nobody has it');
    },
    replicate: async (_, { candidates, jobId }) => {
      replicated.push(jobId);
      return candidates.slice(0, 1);
    },
  };
  const payloads = new PayloadBlobs({ self: SELF, blobs, clock, workers: () => [OTHER] }, { patienceMs });
  const fail = (count: number) => {
    failures = count;
  };
  return { store, clock, payloads, replicated, fail };
}

const signal = new AbortController().signal;

describe('a payload too long for a record', () => {
  it('is kept here and on a further node, for its job, and read again as it was', async () => {
    const { store, payloads, replicated } = await ground();
    const kept = await payloads.keep('job_1', LONG);
    assert.ok(isBlobPayload(kept));
    assert.deepEqual(kept.$blob.nodes, [SELF, OTHER]);
    assert.deepEqual(store.stat(kept.$blob.id as BlobId)?.jobs, ['job_1']);
    assert.deepEqual(replicated, ['job_1']);
    assert.deepEqual(
      await payloads.fetch(kept, { jobId: 'job_1', signal, onWait: () => assert.fail('it is here') }),
      LONG,
    );
  });

  it('is waited for while nobody has it, with the reason', async () => {
    const { payloads, clock, fail } = await ground();
    const kept = await payloads.keep('job_1', LONG);
    fail(3);
    const fetching = payloads.fetch(kept, { jobId: 'job_1', signal, onWait: () => undefined });
    await clock.advance(5_000);
    assert.deepEqual(await fetching, LONG);
    const reasons: string[] = [];
    const { store: _, ...elsewhere } = await ground({ patienceMs: 3_000 });
    const failing = elsewhere.payloads.fetch(kept, {
      jobId: 'job_1',
      signal,
      onWait: (reason) => reasons.push(reason),
    });
    const failed = assert.rejects(failing, { code: 'NOT_FOUND' });
    await elsewhere.clock.advance(10_000);
    await failed;
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? '', /waits for blob baf/);
  });

  it('is given up when the attempt is stopped', async () => {
    const { payloads, clock, fail } = await ground();
    const kept = await payloads.keep('job_1', LONG);
    fail(1_000);
    const abort = new AbortController();
    const fetching = assert.rejects(
      payloads.fetch(kept, { jobId: 'job_1', signal: abort.signal, onWait: () => undefined }),
      /cancelled/,
    );
    await clock.advance(1_500);
    abort.abort(new Error('cancelled'));
    await fetching;
  });

  it('has a limit, and so has what is named as one', async () => {
    const { payloads, store } = await ground();
    await assert.rejects(payloads.keep('job_1', 'x'.repeat(13 * 2 ** 20)), {
      code: 'RESOURCE_EXHAUSTED',
      message: /blob add/,
    });
    const { id, sizeBytes } = await store.add(new TextEncoder().encode('no json'));
    const named = { $blob: { id, sizeBytes, nodes: [] } };
    await assert.rejects(payloads.fetch(named, { jobId: 'job_1', signal, onWait: () => undefined }), {
      code: 'INVALID_PARAMS',
    });
  });
});
