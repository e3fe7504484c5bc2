import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import type { Connection, Stream } from '@libp2p/interface';
import { type PeerId, silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { Door } from '../../../src/mesh/libp2p-door.ts';
import { createNode, type Libp2pParts } from '../../../src/mesh/libp2p-node.ts';
import { HANDSHAKES_AT_ONCE, loadQuic, QuicEnd, type QuicLibrary } from '../../../src/mesh/libp2p-quic.ts';
import { Libp2pQuicHoles } from '../../../src/mesh/libp2p-quic-holes.ts';
import { NO_PROXY } from '../../../src/mesh/proxy-rules.ts';
import type { Ear, UdpHole, UdpPlace } from '../../../src/mesh/transport.ts';
import { type Initial, openInitial, sealInitial } from '../../e2e/harness/quic-initial.ts';
import { failureOf, identityOf, textBytes } from '../../unit/mesh/support.ts';
import { ada, bob, eve, type Node, WORLDS, type World } from './worlds.ts';

const never = new AbortController().signal;
const relayIdentity = identityOf(9);
/** An optional package: where it is not there for this machine, nothing of it can be tested. */
const loaded = await loadQuic();

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function passes(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5); // mocha has the cap
}

/** Where the port of a hole is seen, by an ear like that of a member. */
async function seenPort(hole: UdpHole): Promise<UdpPlace> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return await new Promise<UdpPlace>((resolve) => {
      socket.once('message', (_bytes, { address: host, port }) => resolve({ host, port }));
      const ear: Ear = {
        host: '127.0.0.1',
        port: socket.address().port,
        token: textBytes('sixteen bytes ..'),
      };
      hole.show(ear);
    });
  } finally {
    socket.close();
  }
}

/** What is needed to make holes, without links above. */
class End {
  readonly peerId: PeerId;
  readonly parts: Libp2pParts;
  readonly holes: Libp2pQuicHoles;
  readonly initiated: Connection[] = [];
  readonly gated: string[];

  private constructor(peerId: PeerId, parts: Libp2pParts, gated: string[], library: QuicLibrary) {
    this.peerId = peerId;
    this.parts = parts;
    this.gated = gated;
    const { privateKey, logger, upgrader } = parts.components;
    this.holes = new Libp2pQuicHoles({
      ...{ library, privateKey, logger, upgrader, clock: new OsClock(), log: silentLogger },
      onInitiated: async (_peerId, connection) => void this.initiated.push(connection),
    });
  }

  static async create({ peerId, seed }: typeof ada, library: QuicLibrary): Promise<End> {
    const gated: string[] = [];
    const parts = await createNode({
      seed,
      listen: [],
      door: new Door(new OsClock()),
      gater: {
        denyInboundEncryptedConnection: (from) => {
          gated.push(from.toString());
          return false;
        },
      },
      webSockets: {
        proxies: NO_PROXY,
        isForwardedTrusted: false,
        tls: () => {
          throw new Error('nobody comes by TLS');
        },
      },
    });
    await parts.node.start();
    return new End(peerId, parts, gated, library);
  }

  async stop(): Promise<void> {
    await this.holes.stop();
    await this.parts.node.stop();
  }
}

/** @returns the connection of the one that called. */
async function punch(caller: End, answerer: End): Promise<Connection> {
  using calls = await caller.holes.open('calls');
  using answers = await answerer.holes.open('answers');
  const [from, to] = [await seenPort(calls), await seenPort(answers)];
  await Promise.all([
    answers.through(caller.peerId, { host: '127.0.0.1', port: from.port }, never),
    calls.through(answerer.peerId, { host: '127.0.0.1', port: to.port }, never),
  ]);
  return caller.initiated.at(-1) as Connection;
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

      const events: string[] = [];
      const heard: [number[], number[]] = [[], []];
      for (const [at, node] of [left, right].entries()) {
        node.transport.onLink(({ type }) => events.push(type));
        node.transport.onFrame((_from, frame) => heard[at]?.push(Buffer.from(frame).readUInt32BE()));
      }
      let count = 0;
      let isOver = false;
      const talking = (async () => {
        while (!isOver) {
          const frame = Buffer.alloc(2_000);
          frame.writeUInt32BE(count);
          assert.ok(left.transport.send(bob.peerId, frame, 'control'));
          assert.ok(right.transport.send(ada.peerId, frame, 'control'));
          count += 1;
          await world.pass(1);
        }
      })();

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
      isOver = true;
      await talking;
      await world.until(() => heard.every((frames) => frames.length === count), 'every frame has arrived');
      const all = Array.from({ length: count }, (_, at) => at);
      for (const frames of heard)
        assert.deepEqual(
          frames.toSorted((one, other) => one - other),
          all,
        );
      assert.deepEqual(events, []);
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

/** A port that its connection has left is free a moment later. */
async function freed(port: number): Promise<void> {
  for (;;) {
    const socket = await bound(port).catch(() => undefined);
    socket?.close();
    if (socket !== undefined) return; // mocha has the cap
    await pause(5);
  }
}

async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '0.0.0.0', resolve);
  });
  return socket;
}

/** What a handshake begins with, as the library says it. */
async function helloOf({
  library,
  end,
}: {
  readonly library: QuicLibrary;
  readonly end: End;
}): Promise<Initial> {
  const { privateKey, logger } = end.parts.components;
  const quic = new QuicEnd({ library, privateKey, logger, onFailure: (error) => assert.fail(String(error)) });
  const ear = await bound(0);
  try {
    return await new Promise<Initial>((resolve) => {
      ear.once('message', (datagram) => resolve(openInitial(datagram)));
      quic.show({ host: '127.0.0.1', port: ear.address().port });
    });
  } finally {
    ear.close();
    await quic[Symbol.asyncDispose]();
  }
}

/** Handshakes that begin and never go on: what the port answers is not read. */
async function halfOpen(port: number, hello: Initial, count: number): Promise<void> {
  const socket = await bound(0);
  for (let number = 0; number < count; number += 1)
    await new Promise<void>((resolve) => socket.send(sealInitial(hello), port, '127.0.0.1', () => resolve()));
  socket.close();
}
