import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { OsListenPorts } from '../../../src/agent/os-listen-ports.ts';
import { OsRandom } from '../../../src/base/os-random.ts';

describe('the ports a node listens on', () => {
  const OPEN = ['/ip4/127.0.0.1/tcp/0'];

  function memoryDirectory() {
    const files = new Map<string, Uint8Array>();
    return {
      readFile: async (name: string) => files.get(name),
      writeFileAtomic: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    };
  }

  const portsOf = (directory: ReturnType<typeof memoryDirectory>) =>
    new OsListenPorts(directory, new OsRandom());
  const drawn = async (directory: ReturnType<typeof memoryDirectory>) => {
    const [address = ''] = await portsOf(directory).recall(OPEN);
    return Number(/^\/ip4\/127\.0\.0\.1\/tcp\/(\d+)$/.exec(address)?.[1]);
  };

  /** Listens on a port that no program gets for connecting to another one. */
  async function occupy(): Promise<{ readonly port: number; leave(): Promise<void> }> {
    const port = await drawn(memoryDirectory());
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host: '127.0.0.1', port }, resolve);
    });
    return { port, leave: () => new Promise((resolve) => void server.close(() => resolve())) };
  }

  it('are drawn at the first start from those that no program gets for connecting to another one', async () => {
    const port = await drawn(memoryDirectory());
    assert.ok(port >= 20_000 && port < 32_768, String(port));
  });

  it('are drawn when what was remembered is no list of ports', async () => {
    const directory = memoryDirectory();
    for (const garbage of ['no ports', '', '\u0093\u0001\u0002\u0003']) {
      await directory.writeFileAtomic('ports', Buffer.from(garbage, 'latin1'));
      assert.ok((await drawn(directory)) >= 20_000);
    }
  });

  it('are taken again after a restart', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await leave();
    await portsOf(directory).remember([`/ip4/127.0.0.1/tcp/${port}/p2p/12D3Koo`]);
    assert.deepEqual(await portsOf(directory).recall(OPEN), [`/ip4/127.0.0.1/tcp/${port}`]);
  });

  it('are not those of WebSockets', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await leave();
    await portsOf(directory).remember([
      `/ip4/127.0.0.1/tcp/${port}`,
      '/ip4/127.0.0.1/tcp/443/tls/ws',
      '/ip4/127.0.0.1/tcp/4180/ws',
    ]);
    assert.deepEqual(await portsOf(directory).recall(OPEN), [`/ip4/127.0.0.1/tcp/${port}`]);
  });

  it('are drawn anew while somebody else has them', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await portsOf(directory).remember([`/ip4/127.0.0.1/tcp/${port}`]);
    assert.notEqual(await drawn(directory), port);
    await leave();
  });

  it('that were configured are never changed', async () => {
    const directory = memoryDirectory();
    await portsOf(directory).remember(['/ip4/127.0.0.1/tcp/4100']);
    assert.deepEqual(await portsOf(directory).recall(['/ip4/127.0.0.1/tcp/4200']), [
      '/ip4/127.0.0.1/tcp/4200',
    ]);
  });
});
