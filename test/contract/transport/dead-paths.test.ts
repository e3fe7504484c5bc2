import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ada, bob, type Node, WORLDS, type World } from './worlds.ts';

/** A path between two nodes that can swallow everything without a word, as a router does that has forgotten it. */
class Path {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  constructor(toPort: number) {
    this.#server = createServer((near) => {
      const far = connect(toPort, '127.0.0.1');
      this.#sockets.push(near, far);
      for (const socket of [near, far]) socket.on('error', () => undefined); // whoever gave up was told to
      near.pipe(far).pipe(near);
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`;
  }

  /** What is there goes silent, and new ways are not opened. */
  swallow(): void {
    this.#server.close();
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe('a path that dies in silence, on loopback', () => {
  let world: World;
  let left: Node;
  let right: Node;
  let path: Path;

  beforeEach(async () => {
    world = (WORLDS[1] as (typeof WORLDS)[number]).create();
    left = await world.node(ada, [ada, bob]);
    right = await world.node(bob, [ada, bob]);
    const port = Number(right.transport.addresses()[0]?.split('/').at(-1));
    path = new Path(port);
    await left.transport.dial(bob.peerId, [await path.open()]);
    await world.until(() => right.transport.isLinked(ada.peerId), 'both are linked');
  });
  afterEach(async () => {
    path[Symbol.dispose]();
    await world[Symbol.asyncDispose]();
  });

  const linkOf = (node: Node) => node.transport.links()[0];

  it('Z1 is found dead by both ends', async () => {
    path.swallow();
    await world.until(() => linkOf(left) === undefined && linkOf(right) === undefined, 'both ends notice');
  });

  it('Z5 is not called up by whoever asks before that', async () => {
    await left.transport.confirm?.();
    assert.equal(linkOf(left)?.isQuiet, false);
    path.swallow();
    await world.pass(250);
    await left.transport.confirm?.();
    assert.notEqual(linkOf(left)?.isQuiet, false);
  });

  it('Z7 is known to have said nothing, and since when; whoever was heard lately is not asked', async () => {
    await left.transport.confirm?.();
    assert.ok((linkOf(left)?.unheardMs ?? Number.NaN) <= 500);
    path.swallow();
    await world.pass(250);
    let isSettled = false;
    void left.transport.confirm?.(60_000).then(() => {
      isSettled = true;
    });
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    assert.ok(isSettled, 'nobody is waited for');
    await world.until(() => (linkOf(left)?.unheardMs ?? 1) > 0, 'time without a word is counted');
  });

  it('Z3 is ended by whoever doubts it, and the next dial makes a new way', async () => {
    path.swallow();
    left.transport.verify?.();
    assert.equal(linkOf(left)?.isQuiet, true);
    await world.until(() => linkOf(left) === undefined, 'the dead link is ended');
    await left.transport.dial(bob.peerId, right.transport.addresses());
    assert.equal(linkOf(left)?.isQuiet, false);
    await world.until(() => linkOf(right)?.isQuiet === false, 'the other end takes the new way');
  });

  it('Z3 a doubted path that is whole stays, with its channel', async () => {
    const since = linkOf(left)?.since;
    left.transport.verify?.();
    await world.until(() => linkOf(left)?.isQuiet === false, 'the peer answers');
    await world.pass(2_500);
    assert.deepEqual([linkOf(left)?.since, linkOf(left)?.isQuiet], [since, false]);
  });
});
