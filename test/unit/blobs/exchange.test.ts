import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { AspenError, type PeerId, SeededRandom, silentLogger, sleep } from '../../../src/base/index.ts';
import {
  BLOB_MESSAGES,
  type BlobId,
  BlobStore,
  Blobs,
  CHUNK_BYTES,
  MemoryBlobDisk,
} from '../../../src/blobs/index.ts';
import type { Mesh } from '../../../src/mesh/index.ts';
import { Village } from '../mesh/nodes.ts';
import { certificateFor, identityOf } from '../mesh/support.ts';
import { bytesOf, crypto, readAll } from './support.ts';

const CHUNKS = 24;
const BYTES = bytesOf(CHUNKS * CHUNK_BYTES - 100);

interface Node {
  readonly peerId: PeerId;
  readonly mesh: Mesh;
  readonly store: BlobStore;
  readonly blobs: Blobs;
  readonly disk: MemoryBlobDisk;
}

interface Wrong {
  readonly have?: (body: unknown) => unknown;
  readonly chunk?: (body: unknown) => unknown;
  readonly manifest?: (body: unknown) => unknown;
}

/** Members that know each other, each with blobs of its own. */
class Ground implements AsyncDisposable {
  readonly village = new Village();
  readonly nodes: Node[] = [];

  async node(
    number: number,
    {
      disk = new MemoryBlobDisk(),
      quotaBytes = 2 ** 30,
      connect,
    }: {
      readonly disk?: MemoryBlobDisk;
      readonly quotaBytes?: number;
      readonly connect?: (peerId: PeerId, signal: AbortSignal) => Promise<void>;
    } = {},
  ): Promise<Node> {
    const mesh = await this.mesh(number);
    const components = {
      crypto,
      clock: this.village.clock,
      random: new SeededRandom(number),
      log: silentLogger,
    };
    const store = new BlobStore({ disk, ...components }, { quotaBytes });
    const { messenger } = mesh;
    const blobs = new Blobs({
      self: mesh.self,
      store,
      messenger,
      ...components,
      connect,
      onFailure: (error) => assert.fail(String(error)),
    });
    await blobs.start();
    const node = { peerId: mesh.self, mesh, store, blobs, disk };
    this.nodes.push(node);
    return node;
  }

  /** A member that answers as it likes. */
  async wrong(number: number, { have, chunk, manifest }: Wrong): Promise<PeerId> {
    const mesh = await this.mesh(number);
    if (have !== undefined) mesh.messenger.handle(BLOB_MESSAGES.have, ({ body }) => have(body));
    if (chunk !== undefined) mesh.messenger.handle(BLOB_MESSAGES.chunk, ({ body }) => chunk(body));
    if (manifest !== undefined) mesh.messenger.handle(BLOB_MESSAGES.manifest, ({ body }) => manifest(body));
    return mesh.self;
  }

  async mesh(number: number): Promise<Mesh> {
    const identities = Array.from({ length: 9 }, (_, at) => identityOf(at + 1));
    const mesh = await this.village.node(identityOf(number), {
      address: `/memory/${number}`,
      contacts: Array.from({ length: 9 }, (_, at) => ({
        peerId: identityOf(at + 1).peerId,
        addresses: [`/memory/${at + 1}`],
      })),
    });
    for (const identity of identities) mesh.gate.admit(certificateFor(identity));
    await this.village.clock.advance(100);
    return mesh;
  }

  /** Moves time until it is settled. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    for (let step = 0; step < 200_000 && !isOver; step += 1) await this.village.clock.advance(1);
    return promise;
  }

  async link(): Promise<void> {
    await this.village.clock.advance(5_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { blobs } of this.nodes) await this.during(blobs.stop());
    await this.village[Symbol.asyncDispose]();
  }
}

const holder = (size: number) => [size, true];

describe('blobs between members', () => {
  it('come from all who have them, and are the same', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    const three = await ground.node(3);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    await two.store.add(BYTES);
    const seen: number[] = [];
    const stat = await ground.during(
      three.blobs.ensure(id, { onProgress: ({ heldBytes }) => seen.push(heldBytes) }),
    );
    assert.equal(stat.isComplete, true);
    assert.equal(stat.origin, 'fetched');
    assert.deepEqual(Buffer.from(await readAll(three.store, id)), Buffer.from(BYTES));
    assert.ok(seen.length >= CHUNKS && seen.at(-1) === BYTES.length);
    for (const peerId of [one.peerId, two.peerId])
      assert.ok((three.blobs.holderRecords().find((record) => record.peerId === peerId)?.chunks ?? 0) > 3);
  });

  it('are read part by part while they come', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (;;) {
      const { bytes, sizeBytes } = await ground.during(two.blobs.read(id, { offset, lengthBytes: 2 ** 20 }));
      assert.equal(sizeBytes, BYTES.length);
      if (bytes.length === 0) break;
      parts.push(bytes);
      offset += bytes.length;
    }
    assert.deepEqual(Buffer.concat(parts), Buffer.from(BYTES));
  });

  it('are gone on with after a cut, also by another process, without what is there already (X4)', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    const abort = new AbortController();
    const cut = two.blobs.ensure(id, {
      signal: abort.signal,
      onProgress: ({ heldBytes }) => {
        if (heldBytes > BYTES.length / 2) abort.abort(new Error('enough'));
      },
    });
    await assert.rejects(ground.during(cut), /enough/);
    await ground.during(two.blobs.stop());
    const heldBytes = two.store.stat(id)?.heldBytes ?? 0;
    assert.ok(heldBytes > BYTES.length / 2 && heldBytes < BYTES.length);
    two.disk.crash();
    ground.nodes.pop();
    await ground.during(ground.village.stop(two.mesh));
    const again = await ground.node(4, { disk: two.disk });
    await ground.village.until(() => again.mesh.messenger.connected().length > 0, 'it is linked again');
    assert.equal(again.store.stat(id)?.heldBytes, heldBytes);
    await ground.during(again.blobs.ensure(id));
    assert.deepEqual(Buffer.from(await readAll(again.store, id)), Buffer.from(BYTES));
    const got = again.blobs.holderRecords().find(({ peerId }) => peerId === one.peerId)?.chunks ?? 0;
    assert.ok(got < CHUNKS / 2 + 1, `${got} chunks were fetched again`);
  });

  it('go on from the third when a holder is gone half way (X3)', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    const three = await ground.node(3);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    await two.store.add(BYTES);
    let isCut = false;
    await ground.during(
      three.blobs.ensure(id, {
        onProgress: ({ heldBytes }) => {
          if (isCut || heldBytes < BYTES.length / 2) return;
          isCut = true;
          ground.village.cuts.add(`${one.peerId} ${three.peerId}`).add(`${three.peerId} ${one.peerId}`);
        },
      }),
    );
    assert.equal(isCut, true);
    assert.deepEqual(Buffer.from(await readAll(three.store, id)), Buffer.from(BYTES));
  });

  const LIARS: readonly (readonly [string, (id: BlobId) => Wrong])[] = [
    [
      'gives wrong chunks',
      () => ({ have: () => holder(BYTES.length), chunk: () => bytesOf(CHUNK_BYTES, 7) }),
    ],
    ['gives no bytes', () => ({ have: () => holder(BYTES.length), chunk: () => 'a chunk' })],
    ['lies about the size', () => ({ have: () => holder(BYTES.length - 1), chunk: () => null })],
    ['answers with no holding', () => ({ have: () => ({ all: true }) })],
    [
      'gives the manifest of something else',
      () => ({
        have: () => holder(BYTES.length),
        manifest: () => bytesOf(50),
        chunk: () => bytesOf(CHUNK_BYTES, 7),
      }),
    ],
  ];
  for (const [what, wrong] of LIARS) {
    it(`are fetched elsewhere when a holder ${what}, who is counted and avoided (X1, X2)`, async () => {
      await using ground = new Ground();
      const one = await ground.node(1);
      const two = await ground.node(2);
      const { id } = await one.store.add(BYTES);
      const liar = await ground.wrong(3, wrong(id));
      await ground.link();
      await ground.during(two.blobs.ensure(id, { hints: [liar] }));
      assert.deepEqual(Buffer.from(await readAll(two.store, id)), Buffer.from(BYTES));
      const record = two.blobs.holderRecords().find(({ peerId }) => peerId === liar);
      assert.ok((record?.lies ?? 0) >= 1, 'counted');
      assert.equal(record?.isAvoided, true);
    });
  }

  it('are fetched elsewhere when a holder is silent, who is counted (X3)', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    const { id } = await one.store.add(BYTES);
    const never = new Promise(() => undefined);
    const silent = await ground.wrong(3, { have: () => holder(BYTES.length), chunk: () => never });
    await ground.link();
    const before = ground.village.clock.monotonicMs();
    await ground.during(two.blobs.ensure(id, { hints: [silent] }));
    assert.deepEqual(Buffer.from(await readAll(two.store, id)), Buffer.from(BYTES));
    assert.ok(ground.village.clock.monotonicMs() - before < 10_000, 'taken over before the timeout');
  });

  it('are had in time while a dial to another holder takes long, and from who was busy at first (X3)', async () => {
    await using ground = new Ground();
    const { clock } = ground.village;
    const one = await ground.node(1);
    const two = await ground.node(2, { connect: (_, signal) => sleep(clock, 60_000, signal) });
    const { id } = await one.store.add(BYTES);
    await ground.link();
    let refusals = 0;
    const { request } = two.mesh.messenger;
    mock.method(two.mesh.messenger, 'request', (...args: Parameters<typeof request>) => {
      if (args[1] !== BLOB_MESSAGES.chunk || refusals >= 12) return request.apply(two.mesh.messenger, args);
      refusals += 1;
      return Promise.reject(new AspenError('RESOURCE_EXHAUSTED', 'busy'));
    });
    const before = clock.monotonicMs();
    await ground.during(two.blobs.ensure(id, { hints: [identityOf(9).peerId] }));
    assert.ok(refusals >= 9, 'it was asked again after it was busy');
    assert.ok(clock.monotonicMs() - before < 10_000, `${clock.monotonicMs() - before} ms`);
  });

  it('are fetched anew for who comes while a fetch that nobody waited for comes to its end', async () => {
    await using ground = new Ground();
    const { clock } = ground.village;
    const two = await ground.node(2, { connect: () => sleep(clock, 60_000) });
    const { id } = await two.store.add(BYTES);
    await two.store.discard(id, { isForced: true });
    const signal = AbortSignal.abort(new Error('gone'));
    const hints = [identityOf(9).peerId];
    await assert.rejects(ground.during(two.blobs.ensure(id, { hints, signal })), /gone/);
    const one = await ground.node(1);
    await one.store.add(BYTES);
    await ground.link();
    const stat = await ground.during(two.blobs.ensure(id));
    assert.equal(stat.isComplete, true);
  });

  it('of a member that lies are asked for again when it was avoided for long enough', async () => {
    await using ground = new Ground();
    const two = await ground.node(2);
    const liar = await ground.wrong(3, { have: () => 'no' });
    await ground.link();
    const id = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' as BlobId;
    await assert.rejects(ground.during(two.blobs.ensure(id)), { code: 'NOT_FOUND' });
    const record = () => two.blobs.holderRecords().find(({ peerId }) => peerId === liar);
    assert.equal(record()?.lies, 1);
    await ground.village.clock.advance(10 * 60_000);
    assert.equal(record()?.isAvoided, false);
  });

  it('that nobody has are told to be nowhere, after some patience', async () => {
    await using ground = new Ground();
    await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const id = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' as BlobId;
    await assert.rejects(ground.during(two.blobs.ensure(id)), { code: 'NOT_FOUND', message: /1 were asked/ });
    assert.equal(two.blobs.fetchCount, 0);
  });

  it('that do not fit the quota are refused, and nothing is left of them', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2, { quotaBytes: 1_000 });
    await ground.link();
    const { id } = await one.store.add(BYTES);
    await assert.rejects(ground.during(two.blobs.ensure(id)), { code: 'RESOURCE_EXHAUSTED' });
    assert.deepEqual(await two.disk.names(), []);
  });

  it('are mended from others when a disk damaged them', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    await two.store.add(BYTES, { isPinned: true });
    two.disk.damage(id, 3 * CHUNK_BYTES);
    const { bytes } = await ground.during(
      two.blobs.read(id, { offset: 3 * CHUNK_BYTES, lengthBytes: CHUNK_BYTES }),
    );
    assert.deepEqual(Buffer.from(bytes), Buffer.from(BYTES.subarray(3 * CHUNK_BYTES, 4 * CHUNK_BYTES)));
    assert.equal(two.store.isComplete(id), true);
  });

  it('are copied to others who then keep them for the job, until it is on record no more', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    const three = await ground.node(3);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    const candidates = [two.peerId, three.peerId];
    const kept = await ground.during(one.blobs.replicate(id, { count: 1, candidates, jobId: 'job_1' }));
    assert.deepEqual(kept, [two.peerId]);
    assert.deepEqual(two.store.stat(id)?.jobs, ['job_1']);
    const holders = await ground.during(one.blobs.holders(id));
    assert.deepEqual(holders.toSorted(), [one.peerId, two.peerId].toSorted());
  });

  it('are given up by those who keep a copy when the time has passed that they were wanted for', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    const wanted = { count: 1, candidates: [two.peerId], jobId: 'job_1', keptForMs: 0 };
    assert.deepEqual(await ground.during(one.blobs.replicate(id, wanted)), [two.peerId]);
    assert.deepEqual(two.store.stat(id)?.jobs, ['job_1']);
    await two.store.unreferOld();
    assert.deepEqual(two.store.stat(id)?.jobs, []);
  });

  it('are fetched once for all who want them at the same time', async () => {
    await using ground = new Ground();
    const one = await ground.node(1);
    const two = await ground.node(2);
    await ground.link();
    const { id } = await one.store.add(BYTES);
    const stats = await ground.during(Promise.all([1, 2, 3].map(() => two.blobs.ensure(id))));
    assert.deepEqual(
      stats.map(({ isComplete }) => isComplete),
      [true, true, true],
    );
    assert.equal(two.blobs.holderRecords()[0]?.chunks, CHUNKS);
  });
});
