import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AspenError, silentLogger } from '../../../src/base/index.ts';
import { createRpcServer, type RpcServer } from '../../../src/rpc/index.ts';
import { OsSocketListener, socketPathOf } from '../../../src/rpc/os-socket.ts';
import { AspenClient } from '../../../src/sdk/index.ts';
import { createFakeAgent, type FakeAgent } from '../rpc/fake-handlers.ts';

describe('a client of the agent', () => {
  let dataDir: string;
  let agent: FakeAgent;
  let server: RpcServer;
  let client: AspenClient;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'aspen-sdk-'));
    agent = createFakeAgent();
    server = await startServer();
    client = await AspenClient.connect({ dataDir, timeoutMs: 5_000 });
  });
  afterEach(async () => {
    client.close();
    await server.stop();
    await rm(dataDir, { recursive: true });
  });

  async function startServer(): Promise<RpcServer> {
    const listener = new OsSocketListener(socketPathOf(dataDir));
    const started = createRpcServer(
      { listener, handlers: agent.handlers, logger: silentLogger },
      { version: '0.1.0', checksResults: true },
    );
    await started.start();
    return started;
  }

  it('submits, waits, reads and cancels', async () => {
    const { id } = await client.submit({ type: 'echo', payload: { a: 1 } });
    assert.deepEqual((await client.wait(id)).result, { a: 1 });
    assert.equal((await client.get(id)).state, 'succeeded');
    await assert.rejects(client.cancel(id), { code: 'CONFLICT', outcome: 'not-applied' });
  });

  it('keeps keys', async () => {
    assert.equal(await client.kv.get('color'), null);
    await client.kv.put('color', 'green');
    assert.equal((await client.kv.get('color'))?.value, 'green');
    assert.equal((await client.kv.cas('color', { expected: 'red', value: 'blue' })).swapped, false);
    assert.deepEqual(
      (await client.kv.scan('co')).entries.map(({ key }) => key),
      ['color'],
    );
    assert.equal((await client.kv.delete('color')).deleted, true);
  });

  it('yields the output of a job piece by piece, byte for byte', async () => {
    agent.programs.set('talk', {
      output: [
        ['stdout', 'grün\n'],
        ['stderr', 'two'],
      ],
    });
    const { id } = await client.submit({ type: 'shell', payload: { command: 'talk' } });
    const pieces: (readonly [string, number, string])[] = [];
    for await (const { stream, offset, data } of client.logs(id))
      pieces.push([stream, offset, data.toString()]);
    assert.deepEqual(pieces, [
      ['stdout', 0, 'grün\n'],
      ['stderr', 6, 'two'],
    ]);
  });

  it('says when the output ended early, after all that came', async () => {
    agent.programs.set('lost', { output: [['stdout', 'some']], streamBreaks: true });
    const { id } = await client.submit({ type: 'shell', payload: { command: 'lost' } });
    const pieces: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { data } of client.logs(id)) pieces.push(data.toString());
      },
      { code: 'UNAVAILABLE', message: /the node was lost/ },
    );
    assert.deepEqual(pieces, ['some']);
  });

  it('stops following when it is told to', async () => {
    agent.programs.set('long', { output: [['stdout', 'first']], runsUntilTold: true });
    const { id } = await client.submit({ type: 'shell', payload: { command: 'long' } });
    const stop = new AbortController();
    for await (const _ of client.logs(id, { follow: true, signal: stop.signal })) stop.abort();
    await client.get(id);
    assert.ok(agent.calls.some(({ method }) => method === 'job.logsStop'));
  });

  it('takes output faster than it is read without keeping all of it', async () => {
    const piece = 'x'.repeat(1_000_000);
    agent.programs.set('flood', { output: Array.from({ length: 20 }, () => ['stdout', piece] as const) });
    const { id } = await client.submit({ type: 'shell', payload: { command: 'flood' } });
    let bytes = 0;
    for await (const { data } of client.logs(id)) {
      bytes += data.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bytes, 20_000_000);
  });

  describe('while there is no quorum', () => {
    const put = () => agent.handlers['kv.put'];
    /** The first tries are refused. @returns the request ids that came. */
    function refuse(times: number): (string | undefined)[] {
      const real = put();
      const asked: (string | undefined)[] = [];
      Object.assign(agent.handlers, {
        'kv.put': (...args: Parameters<typeof real>) => {
          asked.push(args[0].requestId);
          if (asked.length > times) return real(...args);
          return Promise.reject(new AspenError('NO_QUORUM', 'no leader'));
        },
      });
      return asked;
    }

    it('tries again for as long as it was told to, as one request', async () => {
      const asked = refuse(2);
      await client.call('kv.put', { key: 'a', value: 'b' }, { timeoutMs: 10_000 });
      assert.deepEqual([asked.length, new Set(asked).size], [3, 1]);
    });

    it('is refused when its time is over', async () => {
      const asked = refuse(Number.POSITIVE_INFINITY);
      await assert.rejects(client.call('kv.put', { key: 'a', value: 'b' }, { timeoutMs: 300 }), {
        code: 'NO_QUORUM',
        outcome: 'not-applied',
      });
      assert.ok(asked.length <= 2);
    });

    it('is refused at once where nobody said how long to wait', async () => {
      using patientless = await AspenClient.connect({ dataDir });
      const asked = refuse(Number.POSITIVE_INFINITY);
      await assert.rejects(patientless.kv.put('a', 'b'), { code: 'NO_QUORUM' });
      assert.equal(asked.length, 1);
    });
  });

  it('connects again and repeats a mutating call with the same request id, so that it happens once', async () => {
    const submit = agent.handlers['job.submit'];
    let isFirst = true;
    Object.assign(agent.handlers, {
      'job.submit': async (...args: Parameters<typeof submit>) => {
        const answer = await submit(...args);
        if (!isFirst) return answer;
        isFirst = false;
        await server.stop(); // applied, and nobody hears of it
        server = await startServer();
        return await new Promise<never>(() => undefined);
      },
    });
    const { id } = await client.submit({ type: 'echo' });
    assert.deepEqual([...agent.jobs.keys()], [id]);
    const [first, second] = agent.calls.filter(({ method }) => method === 'job.submit');
    assert.deepEqual(first?.params, second?.params);
  });

  it('says so at once when no agent answers', async () => {
    await assert.rejects(AspenClient.connect({ dataDir: join(dataDir, 'nobody') }), {
      code: 'UNAVAILABLE',
      outcome: 'not-applied',
    });
  });

  it('gives up in time, outcome unknown', async () => {
    agent.programs.set('long', { runsUntilTold: true });
    const { id } = await client.submit({ type: 'shell', payload: { command: 'long' } });
    await assert.rejects(client.call('job.wait', { id }, { timeoutMs: 20 }), (error: AspenError) => {
      assert.ok(error instanceof AspenError);
      assert.equal(error.code, 'DEADLINE_EXCEEDED');
      return true;
    });
  });

  it('does not stop an agent that came back after it was stopped', async () => {
    agent.onStop = () => void server.stop();
    await client.call('agent.stop', {}).catch((error: AspenError) => assert.equal(error.code, 'UNAVAILABLE'));
    assert.equal(agent.calls.filter(({ method }) => method === 'agent.stop').length, 1);
  });
});
