import assert from 'node:assert/strict';
import type { Stream } from '@libp2p/interface';
import { HANDSHAKES_AT_ONCE, loadQuic, type QuicLibrary } from '../../../src/mesh/libp2p-quic.ts';
import type { UdpHole } from '../../../src/mesh/transport.ts';
import { failureOf, identityOf } from '../../unit/mesh/support.ts';
import { bound, End, freed, halfOpen, helloOf, pause, punch, seenPort } from './quic-ends.ts';
import { Talk } from './talk.ts';
import { ada, bob, eve, type Node, WORLDS, type World } from './worlds.ts';

const never = new AbortController().signal;
const relayIdentity = identityOf(9);
/** An optional package: where it is not there for this machine, nothing of it can be tested. */
const loaded = await loadQuic();

async function passes(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5); // mocha has the cap
}

function holesByQuic(library: QuicLibrary): void {
  let ends: End[] = [];
  const end = async (identity: typeof ada) => {
    const made = await End.create(identity, library);
    ends.push(made);
    return made;
  };
  afterEach(async () => {
    for (const made of ends) await made.stop();
    ends = [];
  });

  it('make a connection, and the gate of who answers is asked about the proved identity', async () => {
    const [left, right] = [await end(ada), await end(bob)];
    const connection = await punch(left, right);
    assert.equal(connection.remotePeer.toString(), bob.peerId);
    assert.match(connection.remoteAddr.toString(), /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/quic-v1\/p2p\//);
    assert.deepEqual(right.gated, [ada.peerId]);
  });

  it('U5 who reads slowly is not cut off, and what it has not read stays with the sender', async function () {
    this.timeout(60_000);
    const [left, right] = [await end(ada), await end(bob)];
    const connection = await punch(left, right);
    const accepted = Promise.withResolvers<Stream>();
    let receivedBytes = 0;
    await right.parts.node.handle('/slow', (stream) => {
      stream.pause();
      stream.addEventListener('message', ({ data }) => {
        receivedBytes += data.byteLength;
      });
      accepted.resolve(stream);
    });
    const stream = await connection.newStream('/slow');
    const chunk = Buffer.alloc(64 * 2 ** 10, 1);
    const chunks = 12 * 16; // 12 MiB, three times what the library holds for a reader
    for (let count = 0; count < chunks; count += 1) stream.send(chunk);
    const slow = (await accepted.promise) as Stream & { readonly readBufferLength: number };
    await passes(() => slow.readBufferLength >= 256 * 2 ** 10);
    await pause(300);
    assert.ok(slow.readBufferLength <= 2 ** 20, `${slow.readBufferLength} bytes wait for the reader`);
    assert.deepEqual([slow.status, receivedBytes], ['open', 0]);
    slow.resume();
    await passes(() => receivedBytes === chunks * chunk.length);
    assert.equal(connection.status, 'open');
  });

  it('U4 let nobody else in, and half-open handshakes of others do not keep out whom they are for', async () => {
    const [left, right, stranger] = [await end(ada), await end(bob), await end(eve)];
    using calls = await left.holes.open('calls');
    using wrong = await stranger.holes.open('calls');
    using answers = await right.holes.open('answers');
    const { port } = await seenPort(answers);
    const through = answers.through(left.peerId, { host: '127.0.0.1', port: 9 }, never);
    await halfOpen(port, await helloOf({ library, end: stranger }), HANDSHAKES_AT_ONCE / 2);
    const error = await failureOf(wrong.through(bob.peerId, { host: '127.0.0.1', port }, never));
    assert.match(String(error), /no hole|nothing came through|took longer/);
    assert.deepEqual(right.gated, []);
    await calls.through(bob.peerId, { host: '127.0.0.1', port }, never);
    await through;
    assert.deepEqual(right.gated, [ada.peerId]);
  });

  it('U6 are given up, with their port, when more handshakes stay half open than there are places; another one is made', async function () {
    this.timeout(60_000);
    const [left, right, stranger] = [await end(ada), await end(bob), await end(eve)];
    using calls = await left.holes.open('calls');
    using answers = await right.holes.open('answers');
    const { port } = await seenPort(answers);
    const through = failureOf(answers.through(left.peerId, { host: '127.0.0.1', port: 9 }, never));
    await halfOpen(port, await helloOf({ library, end: stranger }), HANDSHAKES_AT_ONCE + 4);
    const called = failureOf(calls.through(bob.peerId, { host: '127.0.0.1', port }, never));
    assert.match(String(await through), new RegExp(`strangers have found port ${port}`));
    await bound(port).then((socket) => socket.close());
    assert.equal((await punch(left, right)).status, 'open');
    assert.match(String(await called), /took longer|no hole/);
  });

  it('U6 end with their link when strangers find the port that carries it, whether their handshakes go on or fail at once', async function () {
    this.timeout(60_000);
    const [left, right, stranger] = [await end(ada), await end(bob), await end(eve)];
    const hello = await helloOf({ library, end: stranger });
    for (const frames of [hello.frames, Buffer.alloc(0)]) {
      const connection = await punch(left, right);
      await pause(700); // longer than between two looks
      assert.equal(connection.status, 'open');
      const port = Number(connection.remoteAddr.toString().split('/')[4]);
      await halfOpen(port, { ...hello, frames }, 3 * HANDSHAKES_AT_ONCE);
      await passes(() => connection.status !== 'open');
      await passes(() => right.parts.node.getConnections().length === 0);
      await freed(port);
    }
  });

  it('are given up when nobody comes, and the port is free again', async () => {
    const right = await end(bob);
    const abort = new AbortController();
    using answers = await right.holes.open('answers');
    const { port } = await seenPort(answers);
    const through = failureOf(answers.through(ada.peerId, { host: '127.0.0.1', port: 9 }, abort.signal));
    await pause(50);
    abort.abort(new Error('not needed any more'));
    assert.match(String(await through), /not needed any more/);
    await right.holes.stop();
    await bound(port).then((socket) => socket.close());
  });

  it('end with their connection', async () => {
    const [left, right] = [await end(ada), await end(bob)];
    const connection = await punch(left, right);
    connection.abort(new Error('over'));
    while (right.parts.node.getConnections().length > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
  });
}

function movingLinks(): void {
  let world: World;
  beforeEach(() => {
    world = (WORLDS.find(({ name }) => name === 'libp2p on loopback') as (typeof WORLDS)[number]).create();
  });
  afterEach(async () => {
    await world?.[Symbol.asyncDispose]();
  });
  const linkOf = (from: Node, to: Node) =>
    from.transport.links().find(({ peerId }) => peerId === to.identity.peerId);

  for (const part of ['calls', 'answers'] as const)
    it(`P1 goes on: the smaller one ${part}, no frame is lost, and both say that it is direct and QUIC`, async function () {
      this.timeout(60_000);
      const everybody = [ada, bob, relayIdentity];
      const [left, right, relay] = [
        await world.node(ada, everybody),
        await world.node(bob, everybody),
        await world.node(relayIdentity, everybody),
      ];
      relay.transport.reach?.offerCircuits(true);
      for (const node of [left, right])
        await node.transport.dial(relayIdentity.peerId, relay.transport.addresses());
      const circuit = `${relay.transport.addresses()[0]}/p2p/${relayIdentity.peerId}/p2p-circuit`;
      await left.transport.dial(bob.peerId, [circuit]);
      await world.until(() => right.transport.isLinked(ada.peerId), 'both are linked');

      const talk = new Talk(world, [left, right]);
      const [smaller, larger] = ada.peerId < bob.peerId ? [left, right] : [right, left];
      const [caller, answerer] = part === 'calls' ? [smaller, larger] : [larger, smaller];
      const [calls, answers] = [await opened(caller, 'calls'), await opened(answerer, 'answers')];
      const [from, to] = [await seenPort(calls), await seenPort(answers)];
      await Promise.all([
        answers.through(caller.identity.peerId, from, never),
        calls.through(answerer.identity.peerId, to, never),
      ]);
      for (const hole of [calls, answers]) hole[Symbol.dispose]();
      await world.until(() => linkOf(left, right)?.path === 'direct', 'one end has moved');
      await world.until(() => linkOf(right, left)?.path === 'direct', 'the other end has moved');
      assert.deepEqual([linkOf(left, right)?.carrier, linkOf(right, left)?.carrier], ['quic', 'quic']);
      await world.until(() => relay.transport.reach?.carriedCount() === 0, 'the circuit is given back');
      await talk.endWell();
      for (const node of [left, right]) assert.equal(node.transport.reach?.wasReached(), false);
    });
}

if (typeof loaded !== 'string') {
  describe('holes by QUIC', () => holesByQuic(loaded));
  describe('a link that moves from a circuit to a hole by QUIC', movingLinks);
}

describe('QUIC that is not there', () => {
  it('is told with the reason, where the package or its part for this machine is missing', async () => {
    const missing = await loadQuic(() =>
      Promise.reject(new Error('Cannot find native binding.\nhow to mend it')),
    );
    assert.equal(
      missing,
      '@chainsafe/libp2p-quic is not there for this machine: Cannot find native binding.',
    );
    assert.match(String(await loadQuic(async () => ({}))), /not the version that was expected/);
  });
});

async function opened({ transport }: Node, part: 'calls' | 'answers'): Promise<UdpHole> {
  const hole = await transport.reach?.openUdpHole?.(part);
  assert.ok(hole !== undefined);
  return hole;
}
