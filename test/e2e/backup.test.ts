import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, runProgram, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Backup {
  readonly bytes: number;
  readonly meshId: string;
  readonly index: number;
}
interface Restored {
  readonly meshId: string | null;
  readonly recordCount: number;
  readonly epoch: number;
}

describe('backup and restore', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  let file: string;
  reportFailures(() => cluster);
  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
    file = join(cluster.directory, 'mesh.backup');
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('writes everything acknowledged to a file of its owner alone, while writes go on', async () => {
    const [first, second] = agents as [Agent, Agent];
    const writer = new Writer(first, 'backup/');
    try {
      await writer.more(200);
      const acknowledged = writer.acknowledged.length;
      const taken = await second.cliJson<Backup>(['backup', file]);
      assert.equal(taken.bytes, statSync(file).size);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.ok(taken.index > acknowledged / 100);
      writeFileSync(join(cluster.directory, 'count'), String(acknowledged));
    } finally {
      await writer.stop();
    }
    const again = await second.cli(['backup', file]);
    assert.equal(again.code, 4, 'a file that is there is not overwritten');
    for (const nowhere of ['no-1', 'no-2', 'no-3']) {
      const lost = await second.cli(['backup', join(cluster.directory, nowhere, 'x')]);
      assert.deepEqual([lost.code, /partial|try again/.test(lost.stderr)], [3, false], 'and takes no place');
    }
    for (const agent of agents) {
      const seed = readFileSync(join(agent.dataDir, 'identity'));
      assert.ok(!readFileSync(file).includes(seed), 'no private key is in it');
    }
  });

  it('shows what is in it, refuses what is damaged, and a directory that is not empty', async () => {
    const dataDir = join(cluster.directory, 'r0');
    const dry = await restore(['restore', file, '--data-dir', dataDir, '--dry-run', '-o', 'json']);
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal((JSON.parse(dry.stdout) as Restored).meshId, null);
    assert.ok(!existsSync(dataDir));
    const full = await restore(['restore', file, '--data-dir', (agents[0] as Agent).dataDir]);
    assert.deepEqual([full.code, /not empty/.test(full.stderr)], [4, true]);
    const damaged = readFileSync(file);
    damaged.writeUInt8(damaged.readUInt8(damaged.length >> 1) ^ 1, damaged.length >> 1);
    writeFileSync(`${file}.bad`, damaged);
    const bad = await restore(['restore', `${file}.bad`, '--data-dir', dataDir]);
    assert.deepEqual([bad.code, /checksum/.test(bad.stderr)], [4, true], bad.stderr);
    assert.ok(!existsSync(dataDir), 'nothing was made');
  });

  it('begins a new mesh with all of it at a later epoch, that the old one knows nothing of', async () => {
    const restored = cluster.add('r1');
    const ran = await restore(['restore', file, '--data-dir', restored.dataDir, '-o', 'json']);
    assert.equal(ran.code, 0, ran.stderr);
    const { meshId, epoch } = JSON.parse(ran.stdout) as Restored;
    await restored.up();
    const status = await restored.status();
    assert.equal(status.meshId, meshId);
    assert.notEqual(status.meshId, (await (agents[0] as Agent).status()).meshId);
    assert.deepEqual([status.group.role, status.group.voters], ['voter', [restored.peerId]]);
    assert.equal(epoch, 2);
    const count = Number(readFileSync(join(cluster.directory, 'count'), 'utf8'));
    const page = await restored.cliJson<{ entries: unknown[] }>(['kv', 'scan', 'backup/', '--limit', '1000']);
    assert.ok(page.entries.length >= Math.min(count, 1_000), `${page.entries.length} of ${count}`);
    const before = await restored.call<{ revision: number }>('kv.put', { key: 'after', value: 'x' });
    assert.ok(before.revision > 2 ** 41, 'revisions go on above');
    const job = await restored.submit({ type: 'shell', payload: { command: 'echo', args: ['again'] } });
    assert.equal((await restored.waitForJob(job.id)).state, 'succeeded');
    await restored.stop();
    await restored.up();
    assert.equal((await restored.status()).meshId, meshId);
  });
});

function restore(args: readonly string[]) {
  return runProgram(args, {});
}
