import { createSocket, type Socket } from 'node:dgram';
import type { Connection } from '@libp2p/interface';
import { type PeerId, silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { Door } from '../../../src/mesh/libp2p-door.ts';
import { createNode, type Libp2pParts } from '../../../src/mesh/libp2p-node.ts';
import { QuicEnd, type QuicLibrary } from '../../../src/mesh/libp2p-quic.ts';
import { Libp2pQuicHoles } from '../../../src/mesh/libp2p-quic-holes.ts';
import { NO_PROXY } from '../../../src/mesh/proxy-rules.ts';
import type { Ear, UdpHole, UdpPlace } from '../../../src/mesh/transport.ts';
import { type Initial, openInitial, sealInitial } from '../../e2e/harness/quic-initial.ts';
import { textBytes } from '../../unit/mesh/support.ts';
import type { ada } from './worlds.ts';

const never = new AbortController().signal;

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Where the port of a hole is seen, by an ear like that of a member. */
export async function seenPort(hole: UdpHole): Promise<UdpPlace> {
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
export class End {
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
export async function punch(caller: End, answerer: End): Promise<Connection> {
  using calls = await caller.holes.open('calls');
  using answers = await answerer.holes.open('answers');
  const [from, to] = [await seenPort(calls), await seenPort(answers)];
  await Promise.all([
    answers.through(caller.peerId, { host: '127.0.0.1', port: from.port }, never),
    calls.through(answerer.peerId, { host: '127.0.0.1', port: to.port }, never),
  ]);
  return caller.initiated.at(-1) as Connection;
}

/** A port that its connection has left is free a moment later. */
export async function freed(port: number): Promise<void> {
  for (;;) {
    const socket = await bound(port).catch(() => undefined);
    socket?.close();
    if (socket !== undefined) return; // mocha has the cap
    await pause(5);
  }
}

export async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '0.0.0.0', resolve);
  });
  return socket;
}

/** What a handshake begins with, as the library says it. */
export async function helloOf({
  library,
  end,
}: {
  readonly library: QuicLibrary;
  readonly end: End;
}): Promise<Initial> {
  const { privateKey, logger } = end.parts.components;
  const quic = new QuicEnd({ library, privateKey, logger, onFailure: () => undefined });
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
export async function halfOpen(port: number, hello: Initial, count: number): Promise<void> {
  const socket = await bound(0);
  for (let number = 0; number < count; number += 1)
    await new Promise<void>((resolve) => socket.send(sealInitial(hello), port, '127.0.0.1', () => resolve()));
  socket.close();
}
