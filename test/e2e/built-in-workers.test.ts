import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { type Agent, Cluster, type Job } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** What workers give back, as far as it is looked at here. */
interface Result {
  readonly status: number;
  readonly body: string;
  readonly hex: string;
  readonly holders: readonly string[];
  readonly blob: { readonly id: string; readonly sizeBytes: number };
  readonly bodyBlob: { readonly id: string; readonly sizeBytes: number };
  readonly store: {
    readonly fileBytes: number;
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly when: string;
  };
  readonly keyCount: number;
  readonly recordCount: number;
  readonly tables: { readonly rowCount: number; readonly faults: readonly string[] };
}

describe('the built-in workers of a mesh of three', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  let server: Server;
  let url = '';
  let askedCount = 0;
  const long = 'long '.repeat(100_000);
  reportFailures(() => cluster);

  before(async () => {
    server = createServer((request, response) => {
      askedCount += 1;
      if (request.url === '/long') response.end(long);
      else if (request.url === '/to-loopback')
        response.writeHead(302, { location: `http://127.0.0.2:${portOf(server)}/admin` }).end();
      else if (request.url === '/busy-once')
        response.writeHead(askedCount === 1 ? 503 : 200, { 'retry-after': '0' }).end('after all');
      else request.pipe(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    url = `http://127.0.0.1:${portOf(server)}`;
    cluster = new Cluster();
    const agents = await cluster.mesh(['a', 'b', 'c'], { env: { ASPEN_HTTP_ALLOW: '127.0.0.1' } });
    agent = agents[0] as Agent;
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  async function run(type: string, payload: object, retry: object = { maxAttempts: 1 }) {
    const { id } = await agent.submit({ type, payload, retry });
    const job = await agent.waitForJob(id);
    return { job, result: job.result as Result };
  }

  async function bytesOf(id: string): Promise<Buffer> {
    await agent.call('blob.fetch', { id });
    const { data } = await agent.call<{ data: string }>('blob.get', { id, lengthBytes: 2 ** 22 });
    return Buffer.from(data, 'base64');
  }

  const errorOf = ({ error }: Job) => error as { readonly code: string; readonly message: string };

  it('http: sends a body and gives back the answer; a long one becomes a blob', async () => {
    const { result } = await run('http', { url, method: 'POST', json: { n: 1 } });
    assert.deepEqual([result.status, result.body], [200, '{"n":1}']);
    const { result: kept } = await run('http', { url: `${url}/long` });
    assert.equal((await bytesOf(kept.bodyBlob.id)).toString(), long);
  });

  it('http: is tried again while the server is busy', async () => {
    askedCount = 0;
    const { job, result } = await run(
      'http',
      { url: `${url}/busy-once` },
      { maxAttempts: 3, backoff: 'none' },
    );
    assert.deepEqual([job.state, job.attempt, result.body], ['succeeded', 2, 'after all']);
  });

  it('http: goes to no address that is not allowed, be it named or reached by a redirect', async () => {
    for (const target of [
      `${url}/to-loopback`,
      `http://127.0.0.2:${portOf(server)}/`,
      'http://169.254.169.254/',
    ]) {
      askedCount = 0;
      const { job } = await run('http', { url: target });
      assert.deepEqual([job.state, errorOf(job).code], ['dead', 'DENIED'], target);
      assert.ok(askedCount <= 1, 'but for the redirect itself nobody was asked');
    }
  });

  it('http: tells what is wrong with a payload when it is submitted', async () => {
    await assert.rejects(
      agent.submit({ type: 'http', payload: { url: 'ftp://example.org' } }),
      /payload.url must be an http/,
    );
  });

  it('blob: compresses, sums up and copies to all nodes', async () => {
    const bytes = Buffer.from(long);
    const { id } = await agent.call<{ id: string }>('blob.add', { data: bytes.toString('base64') });
    const { result: packed } = await run('blob', { op: 'compress', blob: id });
    assert.deepEqual(gunzipSync(await bytesOf(packed.blob.id)), bytes);
    const { result: sum } = await run('blob', { op: 'checksum', blob: id });
    assert.equal(sum.hex, createHash('sha256').update(bytes).digest('hex'));
    const { job, result } = await run('blob', { op: 'replicate', blob: id, copies: 3 }, { maxAttempts: 3 });
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.equal(new Set(result.holders).size, 3);
    const { job: many } = await run('blob', { op: 'replicate', blob: id, copies: 4 });
    assert.equal(errorOf(many).code, 'TOO_FEW_COPIES');
  });

  it('replication: copies keys, and a backup, and reads the copies again', async () => {
    for (let at = 0; at < 5; at += 1) await agent.call('kv.put', { key: `site/${at}`, value: `v${at}` });
    const { result } = await run(
      'replication',
      { source: 'kv', prefix: 'site/', copies: 2 },
      { maxAttempts: 3 },
    );
    assert.equal(result.keyCount, 5);
    assert.equal((await bytesOf(result.blob.id)).toString().trim().split('\n').length, 5);
    const { job, result: backup } = await run('replication', { source: 'backup' }, { maxAttempts: 5 });
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.ok(backup.recordCount > 5);
  });

  it('maintenance: finds nothing wrong with a node that is well', async () => {
    const { job, result } = await run('maintenance', { task: 'check' });
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.deepEqual(result.tables.faults, []);
    assert.ok(result.tables.rowCount > 10);
    assert.equal((await run('maintenance', { task: 'collect' })).job.state, 'succeeded');
    const compact = await run('maintenance', { task: 'compact' });
    const { store } = compact.result;
    assert.equal(compact.job.state, 'succeeded', JSON.stringify(compact.job.error));
    assert.equal(store.fileBytes, store.usedBytes + store.freeBytes);
    assert.match(store.when, /^(next start|not worth it)$/);
  });
});

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
