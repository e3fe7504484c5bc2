import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { OsListenPorts } from '../../../src/agent/os-listen-ports.ts';

describe('the ports a node listens on', () => {
  const OPEN = ['/ip4/127.0.0.1/tcp/0'];

  function memoryDirectory() {
    const files = new Map<string, Uint8Array>();
    return {
      readFile: async (name: string) => files.get(name),
      writeFileAtomic: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    };
  }

  /** Listens on a port of the system's choice. */
  async function occupy(): Promise<{ readonly port: number; leave(): Promise<void> }> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const { port } = server.address() as { port: number };
    return { port, leave: () => new Promise((resolve) => void server.close(() => resolve())) };
  }

  it('are open before the first start', async () => {
    assert.deepEqual(await new OsListenPorts(memoryDirectory()).recall(OPEN), OPEN);
  });

  it('are open when what was remembered is no list of ports', async () => {
    const directory = memoryDirectory();
    for (const garbage of ['no ports', '', '\u0093\u0001\u0002\u0003']) {
      await directory.writeFileAtomic('ports', Buffer.from(garbage, 'latin1'));
      assert.deepEqual(await new OsListenPorts(directory).recall(OPEN), OPEN);
    }
  });

  it('are taken again after a restart', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await leave();
    await new OsListenPorts(directory).remember([`/ip4/127.0.0.1/tcp/${port}/p2p/12D3Koo`]);
    assert.deepEqual(await new OsListenPorts(directory).recall(OPEN), [`/ip4/127.0.0.1/tcp/${port}`]);
  });

  it('are not those of WebSockets', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await leave();
    await new OsListenPorts(directory).remember([
      `/ip4/127.0.0.1/tcp/${port}`,
      '/ip4/127.0.0.1/tcp/443/tls/ws',
      '/ip4/127.0.0.1/tcp/4180/ws',
    ]);
    assert.deepEqual(await new OsListenPorts(directory).recall(OPEN), [`/ip4/127.0.0.1/tcp/${port}`]);
  });

  it('are open again while somebody else has them', async () => {
    const directory = memoryDirectory();
    const { port, leave } = await occupy();
    await new OsListenPorts(directory).remember([`/ip4/127.0.0.1/tcp/${port}`]);
    assert.deepEqual(await new OsListenPorts(directory).recall(OPEN), OPEN);
    await leave();
  });

  it('that were configured are never changed', async () => {
    const directory = memoryDirectory();
    await new OsListenPorts(directory).remember(['/ip4/127.0.0.1/tcp/4100']);
    assert.deepEqual(await new OsListenPorts(directory).recall(['/ip4/127.0.0.1/tcp/4200']), [
      '/ip4/127.0.0.1/tcp/4200',
    ]);
  });
});
