import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, Lan, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface LongResult {
  readonly stdout: string;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly truncated: boolean;
  readonly stdoutBlob?: string;
  readonly stderrBlob?: string;
}

interface Log {
  readonly stream: 'stdout' | 'stderr';
  readonly offset: number;
  readonly data: string;
}

/** Some 200 MB. */
const LINES = 24_000_000;
const MEMORY_LIMIT_BYTES = 20e6;
const SAMPLE_MS = 100;
const TICKS = 120;

async function sha256(stream: AsyncIterable<Buffer>): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

/** Memory that a process shares with no file: what it has made itself. */
function privateBytes(pid: number): number {
  const line = /^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(line?.[1]) * 1_024;
}

async function isLinked(agent: Agent, other: Agent): Promise<boolean> {
  const { peers } = await agent.call<{ peers: { peerId: string; path: string | null }[] }>('mesh.peers');
  return peers.some(({ peerId, path }) => peerId === other.peerId && path !== null);
}

describe('the output of a shell job', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let agents: [Agent, Agent, Agent];
  reportFailures(() => cluster);

  before(async () => {
    lan = new Lan(3);
    cluster = new Cluster();
    agents = (await cluster.mesh(['a', 'b', 'c'], { netns: lan.machines })) as [Agent, Agent, Agent];
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  const runOn = async (agent: Agent, line: string, more: object = {}): Promise<string> => {
    const payload = { command: line, shell: true, maxOutputBytes: 2 ** 30 };
    const affinity = { node: { peerId: agent.peerId, mode: 'require' } };
    const spec = { type: 'shell', payload, affinity, retry: { maxAttempts: 1 }, ...more };
    return (await agents[0].submit(spec)).id;
  };

  it('of 200 MB takes no memory of the agent, has true totals, and is whole in a blob, on other nodes too', async () => {
    const [, b, c] = agents;
    const expected = await sha256(spawn('seq', ['1', `${LINES}`]).stdout);
    // The heap of an agent that has just begun grows by itself; what counts is that output adds nothing to one that has settled.
    await b.waitForJob(await runOn(b, `seq 1 ${LINES}`), STORY_CAP_MS);
    const before = privateBytes(b.pid);
    let most = 0;
    const sampling = setInterval(() => {
      most = Math.max(most, privateBytes(b.pid) - before);
    }, SAMPLE_MS);
    const job = await b.waitForJob(await runOn(b, `seq 1 ${LINES}`), STORY_CAP_MS);
    clearInterval(sampling);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    const { stdout, stdoutBytes, stderrBytes, truncated, stdoutBlob = '' } = job.result as LongResult;
    assert.deepEqual(
      { stdoutBytes, stderrBytes, truncated },
      { stdoutBytes: expected.bytes, stderrBytes: 0, truncated: true },
    );
    assert.ok(stdout.startsWith('1\n2\n') && stdout.endsWith(`${LINES}\n`) && stdout.length < 140_000);
    assert.ok(most < MEMORY_LIMIT_BYTES, `${most} bytes more`);
    const copy = join(cluster.directory, 'output');
    const { code, stderr } = await c.cli(['blob', 'get', stdoutBlob, copy], { timeoutMs: STORY_CAP_MS });
    assert.equal(code, 0, stderr);
    assert.deepEqual(await sha256(createReadStream(copy) as AsyncIterable<Buffer>), expected);
  });

  it('is whole in blobs when the job failed or ran too long, each stream by itself', async () => {
    const [, b] = agents;
    for (const [end, state] of [
      ['exit 3', {}],
      ['exec sleep 300', { timeoutMs: 4_000 }],
    ] as const) {
      const job = await b.waitForJob(await runOn(b, `seq 1 50000; seq 1 60000 >&2; ${end}`, state));
      assert.equal(job.state, 'dead');
      const { stdoutBlob = '', stderrBlob = '' } = job.result as LongResult;
      for (const [id, last] of [
        [stdoutBlob, 50_000],
        [stderrBlob, 60_000],
      ] as const) {
        const { stdout } = await b.cli(['blob', 'get', id]);
        assert.equal(stdout, Array.from({ length: last }, (_, at) => `${at + 1}\n`).join(''));
      }
    }
  });

  it('is followed from another node without a gap or a repetition while its node is cut off and comes back', async () => {
    const [a, b] = agents;
    const line = `i=0; while [ $i -lt ${TICKS} ]; do echo out $i; echo err $i >&2; i=$((i+1)); sleep 0.15; done`;
    const id = await runOn(b, line, { offline: { running: 'keep' } });
    using client = await a.connect();
    const logs: Log[] = [];
    let ended: Record<string, unknown> | undefined;
    using _ = client.onNotification(({ method, params }) => {
      if (method === 'job.log') logs.push(params as unknown as Log);
      if (method === 'job.logEnd') ended = params;
    });
    await client.call('job.logs', { id, follow: true });
    await until(() => logs.length > 10, { what: 'output to come' });
    lan.unplug(b.netns as string);
    const seen = logs.length;
    try {
      await until(async () => !(await isLinked(a, b)), { what: 'the link to be gone' });
    } finally {
      lan.plug(b.netns as string);
    }
    await until(() => ended !== undefined, { what: 'the output to end', timeoutMs: 120_000 });
    assert.equal(ended?.['reason'], undefined);
    assert.ok(seen < logs.length, 'it was cut off too late to show anything');
    let next = 0;
    for (const { offset, data } of logs) {
      assert.equal(offset, next);
      next += Buffer.byteLength(data);
    }
    const expected = Array.from({ length: TICKS }, (_one, at) => `out ${at}\nerr ${at}\n`).join('');
    assert.equal(logs.map(({ data }) => data).join(''), expected);
    for (const stream of ['stdout', 'stderr'] as const) {
      const text = logs
        .filter((log) => log.stream === stream)
        .map(({ data }) => data)
        .join('');
      assert.ok(!text.includes(stream === 'stdout' ? 'err' : 'out'));
    }
    assert.equal((await a.waitForJob(id, STORY_CAP_MS)).state, 'succeeded');
  });
});
