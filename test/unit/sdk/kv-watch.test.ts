import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { AspenError, silentLogger } from '../../../src/base/index.ts';
import { createRpcServer, type RpcServer } from '../../../src/rpc/index.ts';
import { OsSocketListener, socketPathOf } from '../../../src/rpc/os-socket.ts';
import { AspenClient, type KvEvent } from '../../../src/sdk/index.ts';
import { WatchPlace } from '../../../src/sdk/kv-watch.ts';
import { createFakeAgent, type FakeAgent } from '../rpc/fake-handlers.ts';

describe('a watch of the client library', () => {
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
    agent[Symbol.dispose]();
    await rm(dataDir, { recursive: true });
  });

  async function startServer(): Promise<RpcServer> {
    const started = createRpcServer(
      {
        listener: new OsSocketListener(socketPathOf(dataDir)),
        handlers: agent.handlers,
        logger: silentLogger,
      },
      { version: '0.1.0', checksResults: true },
    );
    await started.start();
    return started;
  }

  async function take(watch: AsyncGenerator<KvEvent, void, undefined>, count: number): Promise<string[]> {
    const taken: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const { value } = await watch.next();
      taken.push((value as KvEvent).key);
    }
    return taken;
  }

  it('tells what happens from now on, each change once', async () => {
    await client.kv.put('before', 'x');
    const watch = client.kv.watch({ prefix: '' });
    const first = watch.next();
    while (!agent.isWatched()) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let at = 0; at < 10; at += 1) await client.kv.put(`k${at}`, 'x');
    assert.equal(((await first).value as KvEvent).key, 'k0');
    assert.deepEqual(
      await take(watch, 9),
      Array.from({ length: 9 }, (_, at) => `k${at + 1}`),
    );
    await watch.return();
  });

  it('goes on where it was when the agent went away and came back, with all that happened meanwhile', async () => {
    const { revision } = await client.kv.put('a0', 'x');
    const watch = client.kv.watch({ prefix: 'a' }, { fromRevision: revision });
    assert.deepEqual(await take(watch, 1), ['a0']);
    await server.stop();
    await agent.fillFrom(['a1', 'b', 'a2']);
    server = await startServer();
    await client.kv.put('a3', 'x');
    assert.deepEqual(await take(watch, 3), ['a1', 'a2', 'a3']);
    await watch.return();
  });

  it('loses nothing when its consumer is slower than the agent', async () => {
    const { revision } = await client.kv.put('k', 'x');
    const watch = client.kv.watch({ key: 'k' }, { fromRevision: revision });
    await take(watch, 1);
    for (let at = 0; at < 2_000; at += 1) await client.kv.put('k', `${at}`);
    const values: unknown[] = [];
    for await (const { value } of watch) if (values.push(value) === 2_000) break;
    assert.deepEqual(
      values,
      Array.from({ length: 2_000 }, (_, at) => `${at}`),
    );
  });

  it('of a history that is gone is refused with COMPACTED', async () => {
    const refuse = async () => {
      throw new AspenError('COMPACTED', 'gone', { details: { oldestRevision: 7 } });
    };
    await server.stop();
    agent.handlers = { ...agent.handlers, 'kv.watch': refuse };
    server = await startServer();
    await assert.rejects(client.kv.watch({ key: 'k' }, { fromRevision: 1 }).next(), {
      code: 'COMPACTED',
      details: { oldestRevision: 7 },
    });
  });

  it('ends when its signal aborts, and with its client', async () => {
    const abort = new AbortController();
    const watch = client.kv.watch({ key: 'k' }, { signal: abort.signal });
    const next = watch.next();
    while (!agent.isWatched()) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    assert.equal((await next).done, true);
  });
});

describe('the place of a watch', () => {
  it('is such that beginning again after any event leaves nothing out and tells nothing twice', () => {
    const revisions = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(revisions, fc.array(fc.nat({ max: 6 }), { maxLength: 12 }), (sizes, cuts) => {
        const history = sizes.flatMap((size, at) =>
          Array.from({ length: size }, (_, which) => ({ revision: 10 + at * 2, which })),
        );
        const place = new WatchPlace(10);
        const told: typeof history = [];
        for (const cut of [...cuts, history.length * 2]) {
          const from = place.fromRevision as number;
          place.begun(from - 1);
          const rest = history.filter(({ revision }) => revision >= from).slice(0, cut);
          for (const [at, event] of rest.entries()) {
            if (place.take(event)) told.push(event);
            const next = rest[at + 1];
            if (next !== undefined && next.revision !== event.revision && at % 2 === 0) {
              place.complete(event.revision);
            }
          }
        }
        assert.deepEqual(told, history);
      }),
      { numRuns: 500 },
    );
  });
});
