import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, RpcError, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const DISK_BYTES = 64 * 2 ** 20;
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

(isRoot ? describe : describe.skip)('a disk that is full', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let disk: string;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
    disk = join(cluster.directory, 'a');
    mkdirSync(disk, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=0700`, 'aspen-e2e', disk]);
  });
  after(async () => {
    try {
      await Promise.all(cluster.agents.map((agent) => agent.stop()));
    } finally {
      execFileSync('umount', ['-l', disk]);
      await cluster[Symbol.asyncDispose]();
    }
  });

  it('makes its agent refuse writes, alive, and take them again by itself when there is room', async () => {
    const agent: Agent = cluster.add('a');
    await agent.up();
    const put = (key: string) => agent.call('kv.put', { key, value: 'x'.repeat(500) }, 20_000);
    await put('before');
    const ballast = join(disk, 'ballast');
    fillUp(ballast);
    const refused = await until(
      async () => {
        try {
          await put('during');
          return undefined;
        } catch (error) {
          return error instanceof RpcError && error.data.code === 'RESOURCE_EXHAUSTED' ? error : undefined;
        }
      },
      { what: 'writes to be refused for want of room', timeoutMs: 30_000 },
    );
    assert.equal(refused.data.outcome, 'not-applied');
    assert.equal((await agent.status()).peerId, agent.peerId, 'it lives');
    await new Promise((resolve) => setTimeout(resolve, 8_000)); // it looks for room in between
    assert.ok(agent.isRunning);
    rmSync(ballast);
    await until(
      async () =>
        put('after').then(
          () => true,
          () => false,
        ),
      { what: 'writes to flow again', timeoutMs: 60_000 },
    );
    for (const key of ['before', 'after']) assert.notEqual(await agent.call('kv.get', { key }), null);
    await agent.kill9();
    await agent.up();
    for (const key of ['before', 'after']) assert.notEqual(await agent.call('kv.get', { key }), null);

    const puts = Array.from({ length: 200 }, (_, at) => put(`last ${at}`));
    await puts[0];
    fillUp(ballast); // while the store has not taken over what its journal holds
    await Promise.allSettled(puts);
    assert.equal(await agent.stop(), 0, 'it ends in order, though its disk is full');
    rmSync(ballast);
    await agent.up();
    for (const key of ['before', 'after', 'last 0'])
      assert.notEqual(await agent.call('kv.get', { key }), null);
  });
});

/** Leaves nothing that a process of this machine could still write. */
function fillUp(path: string): void {
  const { bavail, bsize } = statfsSync(path.slice(0, path.lastIndexOf('/')));
  writeFileSync(path, Buffer.alloc(bavail * bsize - 4_096 * 4));
}
