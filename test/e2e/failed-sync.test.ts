import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const DISK_BYTES = 96 * 2 ** 20;
/** What can still be written of it; new blocks of a growing file soon lie beyond. */
const BROKEN_BYTES = 24 * 2 ** 20;
const VALUE = 'x'.repeat(20_000);
const FATAL_EXIT_CODE = 70;
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

/**
 * A file system that shows room and cannot keep what is written to it: the device beneath it has become shorter. The kernel takes a write,
 * and the sync that would carry it there fails with EIO - as with a disk that dies.
 */
class FailingDisk {
  readonly path: string;
  readonly #image: string;
  readonly #devices: string[] = [];
  #lost = Buffer.alloc(0);

  constructor(directory: string, name: string) {
    this.path = join(directory, name);
    this.#image = join(directory, `${name}.image`);
    mkdirSync(this.path, { mode: 0o700 });
    writeFileSync(this.#image, '');
    truncateSync(this.#image, DISK_BYTES);
    execFileSync('mkfs.ext2', ['-q', '-F', '-b', '4096', this.#image]);
    this.#mount(this.#image);
    chmodSync(this.path, 0o700);
  }

  /** Frozen meanwhile: what is synced while the lost part is read would be lost without an error, which no disk does. */
  breakDown(): void {
    execFileSync('fsfreeze', ['-f', this.path]);
    try {
      this.#lost = readFileSync(this.#image).subarray(BROKEN_BYTES);
      truncateSync(this.#image, BROKEN_BYTES);
      execFileSync('losetup', ['-c', this.#devices.at(-1) as string]);
    } finally {
      execFileSync('fsfreeze', ['-u', this.path]);
    }
  }

  /** What a person does: another disk, and on it all that this one had kept. */
  replace(): void {
    execFileSync('umount', ['-l', this.path]);
    const other = `${this.#image}.2`;
    writeFileSync(other, Buffer.concat([readFileSync(this.#image), this.#lost]));
    const checked = spawnSync('e2fsck', ['-f', '-y', other], { encoding: 'utf8' });
    assert.ok((checked.status ?? 8) <= 1, `e2fsck: ${checked.stdout}${checked.stderr}`);
    this.#mount(other);
  }

  remove(): void {
    execFileSync('umount', ['-l', this.path]);
    for (const device of this.#devices) execFileSync('losetup', ['-d', device]);
  }

  #mount(image: string): void {
    const device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
    this.#devices.push(device);
    execFileSync('mount', ['-t', 'ext2', '-o', 'errors=continue', device, this.path]);
  }
}

(isRoot ? describe : describe.skip)('a sync that fails', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let disk: FailingDisk;
  reportFailures(() => cluster);
  before(() => {
    cluster = new Cluster();
    disk = new FailingDisk(cluster.directory, 'a');
  });
  after(async () => {
    try {
      await Promise.all(cluster.agents.map((agent) => agent.stop()));
    } finally {
      disk.remove();
      await cluster[Symbol.asyncDispose]();
    }
  });

  it('ends the agent with a word of why, and nothing that was acknowledged is lost', async () => {
    const agent: Agent = cluster.add('a');
    await agent.up();
    const acknowledged: string[] = [];
    const put = async (key: string) => {
      await agent.call('kv.put', { key, value: VALUE }, 20_000);
      acknowledged.push(key);
    };
    for (let number = 0; number < 20; number += 1) await put(`before/${number}`);
    disk.breakDown();
    const isRefused = await writeUntilRefused((number) => put(`during/${number}`));
    assert.ok(isRefused, 'a write that the disk did not keep is not acknowledged');
    assert.equal(await agent.ended(), FATAL_EXIT_CODE);
    assert.match(agent.logTail(3), /cannot write \S*store(-journal-\d)?: /, 'its last words name the file');
    disk.replace();
    await agent.up();
    for (const key of acknowledged) {
      const entry = await agent.call<{ value: string } | null>('kv.get', { key });
      assert.equal(entry?.value, VALUE, key);
    }
    await put('after');
  });
});

/** @returns whether one of a thousand failed. */
async function writeUntilRefused(put: (number: number) => Promise<void>): Promise<boolean> {
  for (let number = 0; number < 1_000; number += 1) {
    try {
      await put(number);
    } catch {
      return true; // whatever the words: the connection may have ended before they came
    }
  }
  return false;
}
