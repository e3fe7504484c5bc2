import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  blobIdOf,
  CHUNK_BYTES,
  ChunkSet,
  chunkCountOf,
  isBlobId,
  type Manifest,
} from '../../../src/blobs/index.ts';
import { encodeManifest, readManifest } from '../../../src/blobs/manifest.ts';
import { bytesOf, crypto } from './support.ts';

/** What `ipfs-unixfs-importer` 17 (raw leaves, CID version 1, chunks of 262,144 bytes, 174 links) makes of `bytesOf(length)`. */
const KNOWN: readonly (readonly [number, string])[] = [
  [0, 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
  [1, 'bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu'],
  [5, 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq'],
  [262_144, 'bafkreihcplssjx4a7ixm3txfegx65okzxd5iwk4yanaxly44vbuzqoljvy'],
  [262_145, 'bafybeibfhcwpykfpnnswt4qsfbuhlgptzjba53tqe5gol7yjlscqgmwks4'],
  [524_288, 'bafybeihscw4u7fch7zxj7zkze2zuapj6btpdfvgimsrpnzgzystmquj2dq'],
  [45_613_056, 'bafybeickb4lzohafu4romkovkiymuuexoqubqds2ot4ivplio526qbuq44'],
  [45_613_057, 'bafybeia3hwdwo2zcfcpmytd76b4ak4yeo3i3gqjilfqqcimk537vnkgnge'],
];

function manifestOf(bytes: Uint8Array): Manifest {
  const digests = Array.from({ length: chunkCountOf(bytes.length) }, (_, index) =>
    crypto.sha256(bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)),
  );
  return { sizeBytes: bytes.length, digests: new Uint8Array(Buffer.concat(digests)) };
}

describe('the id of a blob', () => {
  for (const [length, id] of KNOWN) {
    it(`is what IPFS calls the same ${length} bytes`, () => {
      assert.equal(blobIdOf(crypto, manifestOf(bytesOf(length))), id);
      assert.ok(isBlobId(id));
    });
  }

  it('is no path and no other text', () => {
    const [, known = ''] = KNOWN[1] as readonly [number, string];
    for (const text of [
      '',
      '..',
      '../x',
      'upload-1',
      known.toUpperCase(),
      `${known}a`,
      known.replace('bafkrei', 'bafkbei'),
    ])
      assert.equal(isBlobId(text), false, text);
  });
});

describe('a manifest', () => {
  const manifest = manifestOf(bytesOf(3 * CHUNK_BYTES + 7));
  const id = blobIdOf(crypto, manifest);

  it('is read as it was written', () => {
    assert.deepEqual(readManifest(crypto, id, encodeManifest(manifest)), manifest);
  });

  it('that lies about the size or one digest is not the one of the blob', () => {
    const digests = manifest.digests.slice();
    digests[40] = (digests[40] as number) ^ 1;
    for (const lie of [
      { ...manifest, sizeBytes: manifest.sizeBytes - 1 },
      { ...manifest, sizeBytes: manifest.sizeBytes + 1 },
      { ...manifest, digests },
    ])
      assert.throws(() => readManifest(crypto, id, encodeManifest(lie)), { code: 'INVALID_REQUEST' });
  });

  it('is refused whatever bytes are in its place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => readManifest(crypto, id, bytes), { code: 'INVALID_REQUEST' });
      }),
    );
  });
});

describe('a set of chunks', () => {
  it('agrees with a plain set, also when read from its bytes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 80 }))),
        (limit, steps) => {
          const set = new ChunkSet(limit);
          const plain = new Set<number>();
          for (const [isAdded, index] of steps) {
            if (isAdded) set.add(index);
            else set.delete(index);
            if (isAdded && index < limit) plain.add(index);
            if (!isAdded) plain.delete(index);
          }
          for (const one of [set, ChunkSet.fromBytes(set.toBytes(), limit) as ChunkSet]) {
            assert.equal(one.count, plain.size);
            assert.equal(one.isFull, plain.size === limit);
            assert.deepEqual(
              [...one.missing()],
              Array.from({ length: limit }, (_, index) => index).filter((index) => !plain.has(index)),
            );
          }
        },
      ),
    );
  });
});
