import assert from 'node:assert/strict';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { type Agent, Cluster, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
}

interface Matrix {
  readonly links: readonly { readonly from: string; readonly to: string; readonly isMutual: boolean }[];
}

describe('what can be seen of a mesh', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let a: Agent;
  let b: Agent;
  let port: number;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    port = await freePort();
    [a, b] = (await cluster.mesh(['a', 'b', 'c'])) as [Agent, Agent, Agent];
    for (const agent of [a, b]) await linkedWith(agent, 2);
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('doctor looks at clocks, disk, memory, files, network and group, and nothing is wrong here', async () => {
    const ran = await b.cli(['doctor', '-o', 'json']);
    const { findings } = JSON.parse(ran.stdout) as { findings: readonly Finding[] };
    const byName = new Map(findings.map((finding) => [finding.name, finding]));
    const names = ['clock.skew', 'disk.space', 'disk.sync', 'files.limit', 'group.quorum', 'memory'];
    for (const name of [...names, 'mesh.links', 'network.multicast', 'network.ports', 'versions.spread'])
      assert.ok(byName.has(name), `${name} is missing: ${ran.stdout}`);
    assert.match(
      byName.get('clock.skew')?.detail ?? '',
      /in step with most of 2 members|this clock is \d+ ms/,
    );
    assert.match(byName.get('disk.sync')?.detail ?? '', /\d+ synced writes: p50 [\d.]+ ms, p99 [\d.]+ ms/);
    assert.equal(byName.get('mesh.links')?.detail, 'linked with 2 of 2 other members');
    assert.equal(ran.code, findings.some(({ status }) => status === 'fail') ? 1 : 0);
  });

  it('netcheck is told by the members how a node looks to them', async () => {
    const report = await b.call<{
      udp: { isSo: boolean | null };
      mappingVaries: { isSo: boolean | null };
      seenAs: readonly { host: string; members: number }[];
    }>('net.check', {}, 20_000);
    assert.equal(report.udp.isSo, true);
    assert.equal(report.mappingVaries.isSo, null, 'both members are at one address');
    assert.deepEqual(report.seenAs, [{ host: '127.0.0.1', isPublic: false, members: 2 }]);
    assert.match((await b.cli(['netcheck'])).stdout, /mapping varies +unknown/);
  });

  it('peers tell how they are reached, and each tells the others of its links', async () => {
    const { peers } = await a.call<{ peers: Record<string, unknown>[] }>('mesh.peers');
    for (const { path, carrier, bytesIn, bytesOut, why } of peers) {
      assert.deepEqual([path, carrier, why], ['direct', 'tcp', null]);
      assert.ok(Number(bytesIn) > 0 && Number(bytesOut) > 0);
    }
    const { links } = await until(
      async () => {
        const matrix = await a.call<Matrix>('mesh.matrix');
        return matrix.links.length === 6 && matrix.links.every(({ isMutual }) => isMutual)
          ? matrix
          : undefined;
      },
      { what: 'all three to have told of both of their links', timeoutMs: 120_000, everyMs: 1_000 },
    );
    assert.equal(new Set(links.map(({ from }) => from)).size, 3);
    assert.match((await a.cli(['peers', '--matrix'])).stdout, /^FROM +1 +2 +3\n/);
  });

  it('metrics count jobs, syncs, calls and bytes, and Prometheus may read them where the owner says so', async () => {
    const { id } = await a.submit({ type: 'echo', payload: 1 });
    await a.call('job.wait', { id, timeoutMs: 30_000 });
    const { text } = await a.call<{ text: string }>('metrics.get', { format: 'text' });
    for (const pattern of [
      /^aspen_jobs_submitted_total [1-9]/m,
      /^aspen_jobs_finished_total\{state="succeeded"\} [1-9]/m,
      /^aspen_raft_log_sync_duration_seconds_count [1-9]/m,
      /^aspen_rpc_requests_total\{method="job\.submit",code="OK"\} [1-9]/m,
      /^aspen_links\{path="direct"\} 2$/m,
      /^process_resident_memory_bytes \d{7,}/m,
    ])
      assert.match(text, pattern);
    const told = cluster.add('told', { env: { ASPEN_METRICS_PORT: String(port) } });
    await told.up();
    const read = await ask(port, '/metrics');
    assert.equal(read.status, 200);
    assert.match(read.body, /^aspen_raft_is_leader 1$/m);
    assert.equal((await ask(port, '/metrics', { host: 'evil.example' })).status, 403);
    assert.equal((await ask(port, '/')).status, 404);
  });
});

/** A group may be complete before its members have all met: newcomers are linked with each other last. */
async function linkedWith(agent: Agent, others: number): Promise<void> {
  await until(
    async () => {
      const { peers } = await agent.call<{ peers: { path: string | null }[] }>('mesh.peers');
      return peers.filter(({ path }) => path === 'direct').length === others;
    },
    { what: `${agent.name} to be linked with ${others} others`, timeoutMs: 60_000 },
  );
}

function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).on('error', reject);
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
