import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { encodeRevocation, signRevocation } from '../../../src/mesh/index.ts';
import { crypto, failureOf, meshId, rootSeed, textBytes } from '../../unit/mesh/support.ts';
import { ada, bob, eve, type Node, WORLDS, type World } from './worlds.ts';

/** A libp2p program that keeps none of our rules. */
function stranger(): Promise<Libp2p> {
  return generateKeyPairFromSeed('Ed25519', eve.seed).then((privateKey) =>
    createLibp2p({
      privateKey,
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
    }),
  );
}

const addressesOf = ({ transport, identity }: Node) =>
  transport.addresses().map((address) => multiaddr(`${address}/p2p/${identity.peerId}`));

/** Everything the stream brings until it ends. */
function drained(stream: Stream): Promise<{ bytes: number; error: Error | undefined }> {
  return new Promise((resolve) => {
    let bytes = 0;
    stream.addEventListener('message', ({ data }) => {
      bytes += data.byteLength;
    });
    stream.addEventListener('close', ({ error }) => resolve({ bytes, error }));
    if (stream.status !== 'open') resolve({ bytes, error: undefined });
  });
}

const MEMBERS_ONLY = [
  `/aspen/${meshId}/channel/1`,
  `/aspen/${meshId}/circuit/1`,
  `/aspen/${meshId}/observe/1`,
  `/aspen/${meshId}/table/1`,
  '/meshsub/1.2.0',
  '/meshsub/1.1.0',
];

async function getsNothing(connection: Connection, protocol: string): Promise<void> {
  const stream = await connection.newStream(protocol).catch(() => undefined);
  if (stream === undefined) return; // it was reset before it was there
  const end = drained(stream);
  if (stream.status === 'open') stream.send(Buffer.alloc(100, 7));
  assert.equal((await end).bytes, 0, protocol);
}

const GREETING = '\x13/multistream/1.0.0\n';
const NOISE = '\x07/noise\n';

/** Says all of it to a transport. @returns what it was told until the connection ended, or until that was as much as is waited for. */
function told(
  { transport }: Node,
  said: Uint8Array,
  enoughBytes = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const [, , host = '', , port = ''] = (transport.addresses()[0] as string).split('/');
  const socket = createConnection({ host, port: Number(port) });
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(Buffer.concat(chunks)));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length >= enoughBytes) socket.destroy();
    });
    socket.write(said);
  });
}

describe('a stranger at a libp2p transport', () => {
  let world: World;
  let outsider: Libp2p;
  let member: Node;
  beforeEach(async () => {
    world = (WORLDS[1] as (typeof WORLDS)[number]).create();
    member = await world.node(ada, [ada, bob]);
    outsider = await stranger();
  });
  afterEach(async () => {
    await outsider.stop();
    await world[Symbol.asyncDispose]();
  });

  it('T2 gets nothing on the channel, on circuits or on gossip', async () => {
    const connection = await outsider.dial(addressesOf(member));
    member.transport.reach?.offerCircuits(true);
    for (const protocol of MEMBERS_ONLY) await getsNothing(connection, protocol);
    assert.deepEqual(member.transport.links(), []);
  });

  it('T2 finds no other protocol at all', async () => {
    const connection = await outsider.dial(addressesOf(member));
    const protocols = [
      '/ipfs/id/1.0.0',
      '/ipfs/id/push/1.0.0',
      '/ipfs/ping/1.0.0',
      '/ipfs/kad/1.0.0',
      '/libp2p/circuit/relay/0.2.0/hop',
      '/floodsub/1.0.0',
      '/aspen/aaaaaaaaaaaaaaaaaaaaaaaa/channel/1',
    ];
    for (const protocol of protocols) {
      assert.match(String(await failureOf(connection.newStream(protocol))), /protocol/i, protocol);
    }
  });

  it('T2 is disconnected when it does not ask to be admitted within three seconds', async () => {
    const connection = await outsider.dial(addressesOf(member));
    const beganMs = performance.now();
    await new Promise<void>((resolve) => connection.addEventListener('close', () => resolve()));
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs > 2_000 && tookMs < 6_000, `${tookMs} ms`);
  });

  it('T2 is cut off when its admission request is longer than 4 KiB, and members do not notice', async () => {
    const other = await world.node(bob, [ada, bob]);
    await other.transport.dial(ada.peerId, member.transport.addresses());
    member.transport.admission.answer(async () => textBytes('never'));
    const connection = await outsider.dial(addressesOf(member));
    const stream = await connection.newStream(`/aspen/${meshId}/admission/1`);
    const end = drained(stream);
    stream.send(Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(10_000)]));
    assert.equal((await end).bytes, 0);
    assert.ok(other.transport.isLinked(ada.peerId));
    assert.ok(other.transport.send(ada.peerId, textBytes('still here'), 'control'));
  });

  it('T2 gets one answer and nothing on any protocol once it was revoked, and is disconnected', async () => {
    member.gate.revoke(
      encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId: eve.peerId, issuedAtMs: 1 })),
    );
    member.transport.admission.answer(
      async () => textBytes('welcome'),
      async () => textBytes('no'),
    );
    member.transport.reach?.offerCircuits(true);
    const connection = await outsider.dial(addressesOf(member));
    const beganMs = performance.now();
    for (const protocol of MEMBERS_ONLY) await getsNothing(connection, protocol);
    const stream = await connection.newStream(`/aspen/${meshId}/admission/1`);
    const end = drained(stream);
    stream.send(Buffer.from([0, 1, 7]));
    assert.equal((await end).bytes, 4); // a length, and what it is told
    if (connection.status === 'open')
      await new Promise<void>((resolve) => connection.addEventListener('close', () => resolve()));
    assert.ok(performance.now() - beganMs < 6_000);
    assert.deepEqual(member.transport.links(), []);
  });

  it('N2 a member that sends what is no frame loses its channel only', async () => {
    member.gate.admit((await import('../../unit/mesh/support.ts')).certificateFor(eve));
    const other = await world.node(bob, [ada, bob]);
    await other.transport.dial(ada.peerId, member.transport.addresses());
    const connection = await outsider.dial(addressesOf(member));
    const stream = await connection.newStream(`/aspen/${meshId}/channel/1`);
    const end = drained(stream);
    stream.send(Buffer.alloc(200_000, 0xff));
    assert.ok((await end).error !== undefined);
    assert.ok(!member.transport.isLinked(eve.peerId));
    assert.ok(other.transport.isLinked(ada.peerId));
  });

  it('F5 is answered when it says at once what a handshake begins with', async () => {
    const first = Buffer.concat([Buffer.from(`${GREETING}${NOISE}\0\x20`, 'latin1'), Buffer.alloc(32, 9)]);
    const answer = await told(member, first, GREETING.length + NOISE.length + 200);
    assert.ok(answer.toString('latin1').startsWith(`${GREETING}${NOISE}`));
    assert.ok(answer.length >= GREETING.length + NOISE.length + 200, `${answer.length} bytes`);
  });

  it('F5 is cut off when it says more than that, in one piece or in many', async () => {
    const long = Buffer.concat([Buffer.from(`${GREETING}${NOISE}`, 'latin1'), Buffer.alloc(200, 9)]);
    assert.equal((await told(member, long)).length, 0);
    const lines = Buffer.from(`${GREETING}${'\x03/a\n'.repeat(10_000)}`, 'latin1');
    assert.equal((await told(member, lines)).length, 0);
  });
});
