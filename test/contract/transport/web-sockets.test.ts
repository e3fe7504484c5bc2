import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { ComponentLogger, Logger, MultiaddrConnection, Upgrader } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { OsClock } from '../../../src/base/os-clock.ts';
import { Door, HANDSHAKES_PER_SOURCE } from '../../../src/mesh/libp2p-door.ts';
import { openThrough } from '../../../src/mesh/libp2p-proxy-connect.ts';
import { selfSigned } from '../../../src/mesh/libp2p-self-signed.ts';
import { webSocketConnection } from '../../../src/mesh/libp2p-ws-connection.ts';
import { openWebSocket } from '../../../src/mesh/libp2p-ws-dial.ts';
import { WsListener } from '../../../src/mesh/libp2p-ws-listener.ts';
import { NO_PROXY, parseProxy } from '../../../src/mesh/proxy-rules.ts';
import { parseWsAddress, type WsAddress } from '../../../src/mesh/ws-address.ts';
import { encodeWsFrame, WS_FRAME_BYTES_LIMIT } from '../../../src/mesh/ws-frames.ts';
import { failureOf } from '../../unit/mesh/support.ts';
import { ada, bob, WORLDS } from './worlds.ts';

const quiet: Logger = Object.assign(() => undefined, {
  error: () => undefined,
  trace: () => undefined,
  enabled: false,
  newScope: () => quiet,
});
const logger: ComponentLogger = { forComponent: () => quiet };
const never = new AbortController().signal;
const UPGRADE =
  'GET /aspen HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** A listener whose arrivals are kept as they come, with nobody behind. */
class Listening implements AsyncDisposable {
  readonly wires: MultiaddrConnection[] = [];
  readonly door = new Door(new OsClock());
  readonly #listener: WsListener;
  readonly #ends: Promise<unknown>[] = [];

  constructor({ handshakeMs = 60_000, isForwardedTrusted = false } = {}) {
    const upgradeInbound = (wire: MultiaddrConnection, { signal }: { readonly signal: AbortSignal }) => {
      this.wires.push(wire);
      const { promise, reject } = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => reject(signal.reason));
      this.#ends.push(promise.catch(() => undefined));
      return promise;
    };
    this.#listener = new WsListener({
      upgrader: { upgradeInbound } as unknown as Upgrader,
      logger,
      door: this.door,
      isForwardedTrusted,
      tls: () => selfSigned(Date.now()),
      handshakeMs,
    });
  }

  async listen(way: '/ws' | '/tls/ws' | '/wss'): Promise<WsAddress> {
    await this.#listener.listen(multiaddr(`/ip4/127.0.0.1/tcp/0${way}`));
    const [address] = this.#listener.getAddrs();
    assert.match(String(address), way === '/ws' ? /\/ws$/ : /\/tls\/ws$/);
    return parseWsAddress(String(address)) as WsAddress;
  }

  async arrived(): Promise<MultiaddrConnection> {
    while (this.wires[0] === undefined) await new Promise(setImmediate);
    return this.wires[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
  }
}

/** What a socket brings until it ends; a reset is an end. */
async function allOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

function say({ host, port }: WsAddress, text: string): Socket {
  const socket = connect({ host, port });
  socket.write(text);
  return socket;
}

describe('WebSockets', () => {
  const open: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  });
  const listening = (options = {}) => {
    const made = new Listening(options);
    open.push(made);
    return made;
  };

  for (const way of ['/ws', '/tls/ws', '/wss'] as const)
    it(`carry bytes both ways, and their end: ${way}`, async () => {
      const there = listening();
      const address = await there.listen(way);
      const socket = await openWebSocket(address, NO_PROXY, never);
      const target = multiaddr(`/ip4/127.0.0.1/tcp/${address.port}${way}`);
      const here = webSocketConnection({ socket, remoteAddress: target, direction: 'outbound', log: quiet });
      const wire = await there.arrived();
      for (const [from, to] of [
        [here, wire],
        [wire, here],
      ] as const) {
        const heard: Uint8Array[] = [];
        const all = Promise.withResolvers<void>();
        to.addEventListener('message', ({ data }) => {
          heard.push(data.subarray());
          if (heard.reduce((sum, { length }) => sum + length, 0) >= 3_000_005) all.resolve();
        });
        from.send(Buffer.from('short'));
        from.send(Buffer.alloc(3_000_000, 7));
        await all.promise;
        assert.equal(Buffer.concat(heard).toString('latin1', 0, 6), 'short\x07');
      }
      const closed = new Promise((resolve) => wire.addEventListener('close', resolve));
      await here.close();
      await closed;
    });

  it('stop the one that sends when the other one does not read', async () => {
    const there = listening();
    const address = await there.listen('/ws');
    const socket = await openWebSocket(address, NO_PROXY, never);
    const wire = await there.arrived();
    let heardBytes = 0;
    wire.addEventListener('message', ({ data }) => {
      heardBytes += data.byteLength;
    });
    wire.pause();
    const sentBytes = 64 * 2 ** 20;
    const frame = encodeWsFrame('binary', [Buffer.alloc(WS_FRAME_BYTES_LIMIT)], Buffer.alloc(4));
    for (let at = 0; at < sentBytes; at += WS_FRAME_BYTES_LIMIT) socket.write(frame);
    let before = -1;
    while (socket.writableLength !== before) {
      before = socket.writableLength;
      for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    }
    assert.ok(socket.writableLength > sentBytes / 2, `${socket.writableLength} bytes are left`);
    assert.equal(heardBytes, 0);
    wire.resume();
    while (heardBytes < sentBytes) await once(wire, 'message');
    socket.destroy();
  });

  const slow: readonly (readonly [string, '/ws' | '/tls/ws', string])[] = [
    ['say nothing', '/ws', ''],
    ['say nothing where TLS is spoken', '/tls/ws', ''],
    ['begin TLS and go no further', '/tls/ws', '\x16\x03\x01'],
    ['do not end their request', '/ws', UPGRADE],
    ['are upgraded and say nothing more', '/ws', `${UPGRADE}${KEY}\r\n`],
  ];
  for (const [name, way, text] of slow)
    it(`F1 are ended after the time for a handshake when they ${name}`, async () => {
      const there = listening({ handshakeMs: 100 });
      await allOf(say(await there.listen(way), text));
    });

  it('F1 are not ended by it when they are known by then', async () => {
    const there = listening({ handshakeMs: 100 });
    const address = await there.listen('/ws');
    const upgraded = say(address, `${UPGRADE}${KEY}\r\n`);
    upgraded.on('error', () => upgraded.destroy());
    const wire = await there.arrived();
    there.door.known(wire, { isMember: false });
    assert.equal(there.door.pendingCount, 0);
    upgraded.destroy();
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['ask for a page', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1.1 426 /],
    ['bring no key', `${UPGRADE}\r\n`, /^HTTP\/1.1 400 /],
    ['speak another version', `${UPGRADE.replace('13', '8')}${KEY}\r\n`, /^HTTP\/1.1 400 /],
    ['post', `${UPGRADE.replace('GET', 'POST')}${KEY}\r\n`, /^HTTP\/1.1 400 /],
    ['speak something else', '\x13\x37 what is that\r\n\r\n', /^HTTP\/1.1 400 /],
    ['bring a long head', `${UPGRADE}A: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
  ];
  for (const [name, text, answer] of refused)
    it(`are refused when they ${name}`, async () => {
      const there = listening();
      assert.match(await allOf(say(await there.listen('/ws'), text)), answer);
      assert.deepEqual(there.wires, []);
    });

  it('are ended, and nothing else is, by what is no frame', async () => {
    const there = listening();
    const address = await there.listen('/ws');
    const socket = say(address, `${UPGRADE}${KEY}\r\n`);
    const wire = await there.arrived();
    const closed = new Promise((resolve) => wire.addEventListener('close', resolve));
    socket.write(encodeWsFrame('binary', [Buffer.from('not masked')]));
    await closed;
    await allOf(socket);
    (await openWebSocket(address, NO_PROXY, never)).destroy();
  });

  it('F1 of one address take no more places than others leave', async () => {
    const there = listening();
    const address = await there.listen('/tls/ws');
    const sockets = Array.from({ length: HANDSHAKES_PER_SOURCE }, () => say(address, ''));
    for (const socket of sockets) if (socket.connecting) await once(socket, 'connect');
    while (there.door.pendingCount < HANDSHAKES_PER_SOURCE) await new Promise(setImmediate);
    await allOf(say(address, ''));
    assert.equal(there.door.refusedCount, 1);
    for (const socket of sockets) socket.destroy();
  });

  it('F1 count for whom a trusted web server on this machine brings, and never for whom a stranger names', async () => {
    const request = `${UPGRADE}${KEY}X-Forwarded-For: 10.9.9.9, 198.51.100.7\r\n\r\n`;
    for (const [isForwardedTrusted, way, from] of [
      [true, '/ws', '/ip4/198.51.100.7/'],
      [false, '/ws', '/ip4/127.0.0.1/'],
    ] as const) {
      const there = listening({ isForwardedTrusted });
      const socket = say(await there.listen(way), request);
      const wire = await there.arrived();
      assert.ok(wire.remoteAddr.toString().startsWith(from), String(wire.remoteAddr));
      assert.ok(there.door.admits(wire));
      assert.equal(there.door.pendingCount, 1);
      const closed = new Promise((resolve) => wire.addEventListener('close', resolve));
      socket.destroy();
      await closed;
      while (there.door.pendingCount > 0) await new Promise(setImmediate);
    }
  });

  it('F1 of one address behind a web server take no more places than others leave', async () => {
    const there = listening({ isForwardedTrusted: true });
    const address = await there.listen('/ws');
    const from = (host: string) => say(address, `${UPGRADE}${KEY}X-Forwarded-For: ${host}\r\n\r\n`);
    const sockets = Array.from({ length: HANDSHAKES_PER_SOURCE }, () => from('198.51.100.7'));
    while (there.wires.length < HANDSHAKES_PER_SOURCE) await new Promise(setImmediate);
    assert.match(await allOf(from('198.51.100.7')), /^HTTP\/1.1 503 /);
    const other = from('198.51.100.8');
    while (there.wires.length <= HANDSHAKES_PER_SOURCE) await new Promise(setImmediate);
    for (const socket of [...sockets, other]) socket.destroy();
  });

  it('show a certificate that TLS takes', async () => {
    const address = await listening().listen('/tls/ws');
    const socket = connectTls({ ...address, rejectUnauthorized: false, servername: 'aspen' });
    await once(socket, 'secureConnect');
    assert.equal(socket.getPeerX509Certificate()?.subjectAltName, 'DNS:aspen');
    assert.match(String(socket.authorizationError), /SELF_SIGNED/);
    socket.destroy();
  });
});

/** A server on loopback that ends with all that came to it. */
abstract class LoopbackServer implements AsyncDisposable {
  protected abstract readonly server: Server;
  readonly #sockets = new Set<Socket>();

  /** Ends with the server, and by itself when it fails. */
  protected keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }
}

/** Says its words to whoever comes, whatever that one says, and keeps what it heard. */
class Parrot extends LoopbackServer {
  heard = '';
  protected readonly server: Server;

  constructor(words: string, { isClosing = false } = {}) {
    super();
    this.server = createServer((socket) => {
      this.keep(socket);
      socket.on('data', (chunk) => {
        this.heard += chunk.toString('latin1');
        if (isClosing) socket.end(words);
        else socket.write(words);
      });
    });
  }
}

describe('dialing a WebSocket', () => {
  const answers: readonly (readonly [string, RegExp])[] = [
    ['HTTP/1.1 403 Forbidden\r\n\r\n', /127\.0\.0\.1:\d+ answers 403 Forbidden: there is no WebSocket/],
    ['HTTP/1.1 200 OK\r\n\r\n<html>', /answers 200 OK/],
    [
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: other\r\n\r\n',
      /no answer to what was asked/,
    ],
    ['SSH-2.0-server\r\n', /no answer over HTTP/],
    ['', /closed the connection without an answer/],
  ];
  for (const [words, says] of answers)
    it(`says what is there instead: ${words.split('\r\n')[0]}`, async () => {
      await using parrot = new Parrot(words, { isClosing: true });
      const port = await parrot.listen();
      const address = { host: '127.0.0.1', port, family: 4, isTls: false } as const;
      assert.match(String(await failureOf(openWebSocket(address, NO_PROXY, never))), says);
    });

  it('is given up when it is no longer wanted', async () => {
    await using parrot = new Parrot('');
    const port = await parrot.listen();
    const abort = new AbortController();
    const address = { host: '127.0.0.1', port, family: 4, isTls: true } as const;
    const dialing = failureOf(openWebSocket(address, NO_PROXY, abort.signal));
    while (parrot.heard === '') await new Promise(setImmediate);
    abort.abort(new Error('another way was faster'));
    assert.match(String(await dialing), /another way was faster/);
  });
});

describe('asking a proxy to let through', () => {
  const place = { host: 'relay.example.org', port: 443 };

  it('shows what the proxy wants to see, and gives a connection', async () => {
    await using parrot = new Parrot('HTTP/1.1 200 Connection established\r\n\r\n');
    const proxy = parseProxy(`http://ada:secret@127.0.0.1:${await parrot.listen()}`);
    const socket = await openThrough(proxy, place, never);
    const basic = Buffer.from('ada:secret').toString('base64');
    assert.equal(
      parrot.heard,
      `CONNECT relay.example.org:443 HTTP/1.1\r\nHost: relay.example.org:443\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
    );
    socket.destroy();
  });

  const answers: readonly (readonly [string, RegExp])[] = [
    [
      'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n',
      /^AspenError: the proxy at 127\.0\.0\.1:\d+ refused CONNECT to relay\.example\.org:443: 407 Proxy Authentication Required$/,
    ],
    ['HTTP/1.1 200 OK\r\n\r\nhello', /sends what nobody has asked for/],
    ['SOCKS', /cannot be used: no answer over HTTP/],
    [
      `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(9_000)}`,
      /cannot be used: no answer over HTTP: its head does not end/,
    ],
    ['', /cannot be used: it closed the connection without an answer/],
  ];
  for (const [words, says] of answers)
    it(`says what it answered, and never what it was shown: ${words.slice(0, 30).split('\r\n')[0]}`, async () => {
      await using parrot = new Parrot(words, { isClosing: true });
      const proxy = parseProxy(`http://ada:secret@127.0.0.1:${await parrot.listen()}`);
      const error = String(await failureOf(openThrough(proxy, place, never)));
      assert.match(error, says);
      assert.doesNotMatch(error, /secret|ada/);
    });

  it('names the proxy when nobody is there', async () => {
    const parrot = new Parrot('');
    const port = await parrot.listen();
    await parrot[Symbol.asyncDispose]();
    const error = await failureOf(openThrough(parseProxy(`127.0.0.1:${port}`), place, never));
    assert.match(String(error), new RegExp(`the proxy at 127.0.0.1:${port} cannot be used: .*ECONNREFUSED`));
  });
});

/** What ends TLS before a member, as web servers do. */
class TlsEnd extends LoopbackServer {
  protected readonly server: Server;

  constructor(port: number) {
    super();
    const { certificate, key } = selfSigned(Date.now());
    this.server = createTlsServer({ cert: certificate, key }, (socket) => {
      const onward = connect({ host: '127.0.0.1', port });
      for (const end of [socket, onward]) this.keep(end);
      socket.on('close', () => onward.destroy());
      onward.on('close', () => socket.destroy());
      socket.pipe(onward);
      onward.pipe(socket);
    });
  }
}

describe('a member behind something that ends TLS', () => {
  it('is linked under the address of that, told in either spelling', async () => {
    await using world = (WORLDS[2] as (typeof WORLDS)[number]).create();
    const behind = await world.node(ada, [ada, bob]);
    const other = await world.node(bob, [ada, bob]);
    const { port } = parseWsAddress(behind.transport.addresses()[0] ?? '') as WsAddress;
    await using end = new TlsEnd(port);
    const at = `/dns4/localhost/tcp/${await end.listen()}/wss`;
    await other.transport.dial(ada.peerId, [at]);
    assert.deepEqual(
      other.transport.links().map(({ address, path }) => [address, path]),
      [[at, 'direct']],
    );
    const heard = Promise.withResolvers<string>();
    behind.transport.onFrame((from, frame) => heard.resolve(`${from} ${Buffer.from(frame)}`));
    other.transport.send(ada.peerId, Buffer.from('through'), 'control');
    assert.equal(await heard.promise, `${bob.peerId} through`);
  });
});
