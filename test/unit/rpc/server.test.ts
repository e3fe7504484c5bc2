import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/base/index.ts';
import { createRpcServer, METHODS, RpcPeer, type RpcServer } from '../../../src/rpc/index.ts';
import { dialSocket, OsSocketListener, socketPathOf } from '../../../src/rpc/os-socket.ts';
import { createFakeAgent, type FakeAgent } from './fake-handlers.ts';

const MEBIBYTE = 2 ** 20;

describe('the socket of an agent', () => {
  let directory: string;
  let path: string;
  let agent: FakeAgent;
  let server: RpcServer;
  let peers: RpcPeer[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aspen-rpc-'));
    path = socketPathOf(directory);
    agent = createFakeAgent();
    server = serverAt(path);
    await server.start();
    peers = [];
  });
  afterEach(async () => {
    for (const peer of peers) peer.close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  const serverAt = (address: string) =>
    createRpcServer(
      { listener: new OsSocketListener(address), handlers: agent.handlers, logger: silentLogger },
      { version: '0.1.0', checksResults: true },
    );
  const open = async (onNotification: (method: string, params: unknown) => void = () => undefined) => {
    const handle = async (method: string, params: unknown) => onNotification(method, params);
    const peer = new RpcPeer({ duplex: await dialSocket(path), logger: silentLogger, handle });
    peers.push(peer);
    return peer;
  };

  it('is for its owner alone', async () => {
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('answers, and names what is unknown with what is near', async () => {
    const peer = await open();
    assert.equal(((await peer.request('agent.status')) as { peerId: string }).peerId, agent.peerId);
    await assert.rejects(peer.request('job.submitt', {}), {
      code: 'METHOD_NOT_FOUND',
      message: /job\.submit"/,
    });
    await assert.rejects(peer.request('job.submit', { type: 'x', pririty: 1 }), {
      code: 'INVALID_PARAMS',
      outcome: 'not-applied',
      message: /did you mean "priority"/,
    });
    await assert.rejects(peer.request('agent.status', ['by position']), { code: 'INVALID_PARAMS' });
  });

  it('describes every method with the schemas that check its params', async () => {
    const document = (await (await open()).request('rpc.discover')) as {
      openrpc: string;
      methods: { name: string; params: { name: string; required: boolean; schema: { type?: string } }[] }[];
    };
    assert.match(document.openrpc, /^1\./);
    assert.deepEqual(document.methods.map(({ name }) => name).sort(), Object.keys(METHODS).sort());
    const submit = document.methods.find(({ name }) => name === 'job.submit');
    const required = submit?.params.filter((param) => param.required).map(({ name }) => name);
    assert.deepEqual(required, ['type']);
    assert.equal(submit?.params.find(({ name }) => name === 'timeoutMs')?.schema.type, 'integer');
  });

  it('answers a line of 17 MiB with an error, closes that connection and serves the others', async () => {
    const peer = await open();
    const socket = await rawSocket(path);
    const answer = lines(socket, 1);
    socket.write('{"jsonrpc":"2.0","id":1,"method":"kv.put","params":{"key":"big","value":"');
    for (let sent = 0; sent < 17; sent += 1) socket.write(Buffer.alloc(MEBIBYTE, 'x'));
    socket.write('"}}\n');
    assert.equal(((await answer)[0] as { error: { code: number } }).error.code, -32700);
    if (!socket.closed) await once(socket, 'close');
    assert.equal(await peer.request('kv.get', { key: 'big' }), null);
  });

  it('answers broken JSON and goes on with the same connection', async () => {
    const socket = await rawSocket(path);
    const answers = lines(socket, 2);
    socket.write('{"jsonrpc":"2.0","id":1,"method":\n{"jsonrpc":"2.0","id":2,"method":"agent.status"}\n');
    assert.deepEqual(
      (await answers).map((value) => (value as { id: unknown }).id),
      [null, 2],
    );
    socket.destroy();
  });

  it('does nothing on half a line', async () => {
    const socket = await rawSocket(path);
    socket.end('{"jsonrpc":"2.0","id":1,"method":"kv.put","params":{"key":"half","value":"x"}}');
    await once(socket, 'close');
    assert.equal(agent.calls.length, 0);
  });

  it('answers a client that sends and then says no more', async () => {
    const socket = await rawSocket(path);
    const answer = lines(socket, 1);
    socket.end('{"jsonrpc":"2.0","id":1,"method":"agent.status"}\n');
    assert.equal(((await answer)[0] as { id: number }).id, 1);
    await once(socket, 'close');
  });

  it('serves while 200 others are connected and idle', async () => {
    const idle = await Promise.all(Array.from({ length: 200 }, () => rawSocket(path)));
    const peer = await open();
    const ids = await Promise.all(
      Array.from({ length: 500 }, () => peer.request('job.submit', { type: 'echo' })),
    );
    assert.equal(new Set(ids.map((submitted) => (submitted as { id: string }).id)).size, 500);
    assert.equal(server.connectionCount, 201);
    for (const socket of idle) socket.destroy();
  });

  it('sends notifications in order, before and after the answer that names the subscription', async () => {
    const received: [string, unknown][] = [];
    let ended: () => void;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const peer = await open((method, params) => {
      received.push([method, (params as { data?: string }).data]);
      if (method === 'job.logEnd') ended();
    });
    agent.programs.set('talk', {
      output: [
        ['stdout', 'one'],
        ['stderr', 'two'],
      ],
    });
    const { id } = (await peer.request('job.submit', { type: 'shell', payload: { command: 'talk' } })) as {
      id: string;
    };
    await peer.request('job.logs', { id });
    await end;
    assert.deepEqual(received, [
      ['job.log', 'one'],
      ['job.log', 'two'],
      ['job.logEnd', undefined],
    ]);
  });

  it('is refused to a second agent while the first answers', async () => {
    await assert.rejects(serverAt(path).start(), { code: 'CONFLICT', message: /another agent answers/ });
    await (await open()).request('agent.status');
  });

  it('takes the place of a socket that a killed agent left', async () => {
    const left = join(directory, 'left.sock');
    await leaveSocketBehind(left);
    const second = serverAt(left);
    await second.start();
    (await dialSocket(left)).destroy();
    await second.stop();
  });

  it('does not remove what is no socket', async () => {
    const file = join(directory, 'file.sock');
    await writeFile(file, 'precious');
    await assert.rejects(serverAt(file).start(), { code: 'CONFLICT', message: /not a socket/ });
  });

  it('says so when its path is longer than the system takes', async () => {
    await assert.rejects(dialSocket(join(directory, 'x'.repeat(120))), {
      code: 'INVALID_PARAMS',
      message: /--data-dir/,
    });
  });

  it('closes every connection when the agent stops, after what was answered', async () => {
    const peer = await open();
    await peer.request('agent.status');
    await server.stop();
    if (!peer.signal.aborted) await once(peer.signal, 'abort');
    await assert.rejects(dialSocket(path), { code: 'UNAVAILABLE', outcome: 'not-applied' });
  });
});

async function rawSocket(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

function lines(socket: Socket, count: number): Promise<unknown[]> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      const whole = text.split('\n').slice(0, -1);
      if (whole.length >= count) resolve(whole.map((line) => JSON.parse(line)));
    });
  });
}

/** A process that is killed leaves the file; here it is moved away before an orderly close can remove it. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { rename } = await import('node:fs/promises');
  const server = createServer();
  server.listen(`${path}.moved`);
  await once(server, 'listening');
  await rename(`${path}.moved`, path);
  server.close();
  await once(server, 'close');
}
