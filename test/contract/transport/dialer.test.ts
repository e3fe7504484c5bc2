import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { failureOf, identityOf } from '../../unit/mesh/support.ts';
import { ada, bob, type Node, WORLDS, type World } from './worlds.ts';

const other = identityOf(7);

/** Takes connections and never says a word. */
class Silence implements AsyncDisposable {
  readonly sockets: Socket[] = [];
  closedCount = 0;
  readonly #server: Server = createServer((socket) => {
    this.sockets.push(socket);
    socket.on('close', () => {
      this.closedCount += 1;
    });
    socket.on('error', () => undefined); // it is given up from the other end
    socket.resume();
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

describe('dialing one of several addresses', () => {
  let world: World;
  let from: Node;
  let to: Node;
  let silence: Silence;
  let silent: string;
  beforeEach(async () => {
    world = (WORLDS[1] as (typeof WORLDS)[number]).create();
    from = await world.node(ada, [ada, bob, other]);
    to = await world.node(bob, [ada, bob, other]);
    silence = new Silence();
    silent = await silence.listen();
  });
  afterEach(async () => {
    await silence[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  it('does not wait for one that never answers, and gives it up once another one has', async () => {
    await from.transport.dial(bob.peerId, [silent, ...to.transport.addresses()]);
    assert.equal(from.transport.links()[0]?.address, to.transport.addresses()[0]);
    await world.until(() => silence.closedCount === silence.sockets.length, 'the silent one is given up');
    assert.equal(silence.sockets.length, 1);
  });

  it('goes on at once after one that refuses', async () => {
    await silence[Symbol.asyncDispose]();
    await from.transport.dial(bob.peerId, [silent, ...to.transport.addresses()]);
    assert.ok(from.transport.isLinked(bob.peerId));
  });

  it('takes nobody else who answers there', async () => {
    const error = await failureOf(from.transport.dial(other.peerId, to.transport.addresses()));
    assert.match(String(error), /cannot reach/);
    assert.deepEqual([from.transport.links(), to.transport.links()], [[], []]);
  });

  it('D4 leaves alone what failed, while there is something else', async () => {
    const admitted = await failureOf(from.transport.dial(bob.peerId, [silent]));
    assert.match(String(admitted), /cannot reach/);
    const before = silence.sockets.length;
    await from.transport.dial(bob.peerId, [silent, ...to.transport.addresses()]);
    assert.equal(silence.sockets.length, before);
  });

  it('tells who waits that it was given up', async () => {
    const abort = new AbortController();
    const dialing = failureOf(from.transport.dial(bob.peerId, [silent], abort.signal));
    await world.until(() => silence.sockets.length === 1, 'it is being dialed');
    abort.abort(new Error('no longer wanted'));
    assert.match(String(await dialing), /no longer wanted/);
    await world.until(() => silence.closedCount === 1, 'the socket is closed');
  });
});
