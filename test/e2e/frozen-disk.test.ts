import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const DISK_BYTES = 256 * 2 ** 20;
const mayMount = process.getuid?.() === 0 && existsSync('/dev/loop-control');

/** Whoever touches a page of a frozen file system stands still, the agent's main thread too: others notice its silence. */
(mayMount ? describe : describe.skip)('a disk that stands still', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let disk: string;
  let isFrozen = false;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
    disk = join(cluster.directory, 'a');
    const image = join(cluster.directory, 'disk');
    writeFileSync(image, '');
    truncateSync(image, DISK_BYTES);
    execFileSync('mkfs.ext4', ['-q', image]);
    mkdirSync(disk);
    execFileSync('mount', ['-o', 'loop', image, disk]);
    execFileSync('chmod', ['700', disk]);
  });
  after(async () => {
    if (isFrozen) freeze(false);
    try {
      await Promise.all(cluster.agents.map((agent) => agent.stop()));
    } finally {
      execFileSync('umount', ['-l', disk]);
      await cluster[Symbol.asyncDispose]();
    }
  });

  function freeze(isStill: boolean): void {
    execFileSync('fsfreeze', [isStill ? '--freeze' : '--unfreeze', disk]);
    isFrozen = isStill;
  }

  it('costs its agent the leadership, and the mesh some seconds; the agent comes back as it was', async () => {
    const [leader, other, third] = (await cluster.mesh(['a', 'b', 'c'])) as [Agent, Agent, Agent];
    assert.equal((await other.status()).group.leader, leader.peerId);
    await other.call('kv.put', { key: 'before', value: 'x' });
    freeze(true);
    await until(
      async () =>
        other.call('kv.put', { key: 'during', value: 'x' }, 20_000).then(
          () => true,
          () => false,
        ),
      { what: 'writes to flow without that disk', timeoutMs: 60_000 },
    );
    for (const agent of [other, third]) {
      const { leader: now } = (await agent.status()).group;
      assert.ok(now === other.peerId || now === third.peerId, `${now} leads`);
    }
    freeze(false);
    await until(
      async () => (await leader.status()).group.appliedIndex >= (await other.status()).group.appliedIndex,
      {
        what: 'the agent to have caught up',
        timeoutMs: 60_000,
      },
    );
    for (const key of ['before', 'during'])
      assert.notEqual(await leader.call('kv.get', { key, consistency: 'linearizable' }), null);
    assert.ok(leader.isRunning);
  });
});
