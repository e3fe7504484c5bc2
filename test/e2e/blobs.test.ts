import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Agent, Cluster, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Blob {
  readonly id: string;
  readonly heldBytes: number;
  readonly sizeBytes: number;
  readonly isComplete: boolean;
}

const MIB = 2 ** 20;
/** Of bytes that no test keeps. */
const NOWHERE = 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq';
const LARGE_BYTES = 96 * MIB;

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** @returns the path of a file of random bytes. */
function fileOf(directory: string, name: string, bytes: number): string {
  const path = join(directory, name);
  const piece = randomBytes(MIB);
  writeFileSync(path, '');
  for (let at = 0; at < bytes; at += MIB) {
    piece.writeUInt32BE(at / MIB);
    writeFileSync(path, piece.subarray(0, Math.min(MIB, bytes - at)), { flag: 'a' });
  }
  return path;
}

describe('blobs in a mesh of three', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: [Agent, Agent, Agent];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = (await cluster.mesh(['a', 'b', 'c'])) as [Agent, Agent, Agent];
  });
  after(() => cluster[Symbol.asyncDispose]());

  const heldBy = async (agent: Agent, id: string): Promise<number> => {
    const { blobs } = await agent.call<{ readonly blobs: readonly Blob[] }>('blob.list');
    return blobs.find((blob) => blob.id === id)?.heldBytes ?? 0;
  };

  it('are added on one, got on another, and known by who has them', async () => {
    const [a, b, c] = agents;
    const path = fileOf(cluster.directory, 'small', 5 * MIB + 3);
    const { id } = await a.cliJson<Blob>(['blob', 'add', path]);
    const copy = join(cluster.directory, 'small.copy');
    await b.cliJson(['blob', 'get', id, copy]);
    assert.equal(await sha256(copy), await sha256(path));
    const { holders, local } = await c.cliJson<{ holders: string[]; local: null }>(['blob', 'stat', id]);
    assert.deepEqual(holders.toSorted(), [a.peerId, b.peerId].toSorted());
    assert.equal(local, null);
    assert.equal((await c.cli(['blob', 'get', NOWHERE, `${copy}.2`])).code, 3);
  });

  it('carry payloads that are too long for a record to whichever node runs the job', async () => {
    const [a, b, c] = agents;
    const payload = { words: Array.from({ length: 20_000 }, (_, at) => `word ${at}`) };
    const affinity = { node: { peerId: b.peerId, mode: 'require' } };
    const { id } = await a.submit({ type: 'echo', payload, affinity });
    const job = await a.waitForJob(id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.deepEqual(job.result, payload);
    const { spec } = await c.call<{ spec: { payload: { $blob: { id: string; nodes: string[] } } } }>(
      'job.get',
      { id },
    );
    const { $blob } = spec.payload;
    assert.equal($blob.nodes.length, 2);
    assert.equal($blob.nodes[0], a.peerId);
    const { local } = await a.call<{ local: { jobs: string[] } }>('blob.stat', { id: $blob.id });
    assert.deepEqual(local.jobs, [id]);
    const { results } = await b.call<{ results: { id: string }[] }>('job.submitMany', {
      jobs: [
        { type: 'echo', payload: 1 },
        { type: 'echo', payload },
      ],
    });
    for (const [at, { id: of }] of results.entries())
      assert.deepEqual((await b.waitForJob(of)).result, at === 0 ? 1 : payload);
    await assert.rejects(
      a.submit({ type: 'shell', payload: { command: 5, stdin: 'x'.repeat(100_000) } }),
      /command/,
    );
  });

  it('draw jobs that read them to the node that holds them, as the explanation says', async () => {
    const [a, b, c] = agents;
    const { id } = await c.call<Blob>('blob.add', { data: randomBytes(1_000).toString('base64') });
    const waiting = await a.submit({ type: 'echo', affinity: { data: [id] }, delayMs: 600_000 });
    interface Explained {
      readonly nodes: readonly {
        readonly peerId: string;
        readonly parts: readonly { readonly reason: string }[];
      }[];
    }
    await until(
      async () => {
        const { nodes } = await a.call<Explained>('job.explain', { id: waiting.id });
        const [best] = nodes;
        return best?.peerId === c.peerId && /holds 1 of the 1 blobs/.test(JSON.stringify(best.parts));
      },
      { what: 'it to be known who holds it' },
    );
    for (let count = 0; count < 3; count += 1) {
      const job = await b.waitForJob((await b.submit({ type: 'echo', affinity: { data: [id] } })).id);
      assert.equal(job.node, c.peerId);
    }
    await assert.rejects(a.submit({ type: 'echo', affinity: { data: ['x'] } }), /blob id/);
  });

  it('go on from the third when a holder is killed half way, and after the getter was killed as well', async () => {
    const [a, b, c] = agents;
    const path = fileOf(cluster.directory, 'large', LARGE_BYTES);
    const { id } = await a.cliJson<Blob>(['blob', 'add', path]);
    assert.equal((await b.cliJson<Blob>(['blob', 'add', path])).id, id);

    c.call<Blob>('blob.fetch', { id }, 120_000).catch(() => undefined); // it is killed under it
    await until(async () => (await heldBy(c, id)) > LARGE_BYTES / 6, {
      what: 'a part to be there',
      everyMs: 5,
    });
    await c.kill9();
    await c.up();
    const kept = await heldBy(c, id);
    assert.ok(kept < LARGE_BYTES, 'it was killed too late to show anything');

    const copy = join(cluster.directory, 'large.copy');
    const getting = c.cli(['blob', 'get', id, copy]);
    await until(async () => (await heldBy(c, id)) > Math.max(kept, LARGE_BYTES / 2), {
      what: 'half of it to be there',
      everyMs: 5,
    });
    await a.kill9();
    const { code, stderr } = await getting;
    assert.equal(code, 0, stderr);
    assert.equal(await sha256(copy), await sha256(path));
    const left = await readdir(join(c.dataDir, 'blobs'));
    assert.ok(left.includes(id) && left.every((name) => !name.startsWith('upload-')), left.join());
    await a.up();
  });
});
