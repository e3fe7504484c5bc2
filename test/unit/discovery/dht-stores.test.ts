import assert from 'node:assert/strict';
import { base32 } from 'multiformats/bases/base32';
import type { PeerId } from '../../../src/base/index.ts';
import { tableDatastore, tablePeerStore } from '../../../src/discovery/libp2p-dht-stores.ts';
import { RecordShelf } from '../../../src/discovery/record-shelf.ts';
import { failureOf, identityOf, ManualClock } from '../mesh/support.ts';

const meshDigest = Buffer.alloc(34, 7);
const ofMesh = `/dht/provider/${base32.baseEncode(meshDigest)}`;
const peers = Array.from({ length: 30 }, (_, at) => identityOf(at).peerId);
const key = (text: string) => ({ toString: () => text });
const value = Buffer.from('x');

describe('what the table keeps, in the words of the library', () => {
  let shelf: RecordShelf;
  let addresses: Map<PeerId, readonly string[]>;
  const store = () => tableDatastore({ shelf, meshDigest, known: (peerId) => addresses.get(peerId) ?? [] });
  const told = async (prefix: string) => {
    const found: string[] = [];
    for await (const entry of store().query({ prefix })) found.push(entry.key.toString());
    return found;
  };
  beforeEach(() => {
    shelf = new RecordShelf(new ManualClock());
    addresses = new Map(peers.map((peerId) => [peerId, ['/ip4/203.0.113.1/tcp/1']]));
  });

  it('H1 who can be asked is kept for this mesh and no other name, and told in small numbers', async () => {
    for (const peerId of peers) await store().put(key(`${ofMesh}/${peerId}`), value);
    await store().put(key(`/dht/provider/another/${peers[0]}`), value);
    await store().put(key('/elsewhere/a'), value);
    assert.equal(shelf.providers().length, peers.length);
    assert.equal((await told(ofMesh)).length, 16);
    assert.deepEqual(await told('/dht/provider/another'), []);
    assert.equal(shelf.recordCount, 0);
  });

  it('nobody is told who could not be asked: of a garbled address, or none', async () => {
    const [garbled, none, good] = peers as [PeerId, PeerId, PeerId];
    addresses.set(garbled, ['no address']);
    addresses.delete(none);
    for (const peerId of [garbled, none, good]) await store().put(key(`${ofMesh}/${peerId}`), value);
    assert.deepEqual(await told(ofMesh), [`${ofMesh}/${good}`]);
    await store().delete(key(`${ofMesh}/${good}`));
    assert.deepEqual(await told(ofMesh), []);
  });

  it('what is not there is not found, as the library expects it', async () => {
    const missing = await failureOf(store().get(key('/dht/record/a')));
    assert.equal((missing as Error).name, 'NotFoundError');
    await store().put(key('/dht/record/a'), value);
    assert.equal(await store().get(key('/dht/record/a')), value);
    await store().delete(key('/dht/record/a'));
    assert.equal(shelf.recordCount, 0);
    const peerStore = tablePeerStore({ known: () => [], tell: () => undefined });
    const id = { toString: () => peers[0] as string } as Parameters<typeof peerStore.get>[0];
    assert.equal(((await failureOf(peerStore.get(id))) as Error).name, 'NotFoundError');
  });
});
