import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf } from '../blobs/support.ts';
import { CliWorld, type CommandOptions } from './harness.ts';

const NOWHERE = 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq';

describe('blobs on the command line', () => {
  let world: CliWorld;
  let directory = '';
  const run = (args: readonly string[], options?: CommandOptions) => world.run(['blob', ...args], options);
  const json = (args: readonly string[], options?: CommandOptions) => world.json(['blob', ...args], options);

  beforeEach(async () => {
    world = await CliWorld.create();
    directory = await mkdtemp(join(tmpdir(), 'aspen-cli-blob-'));
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  it('keeps a file, and gives it back the same, by id, prefix and "last"', async () => {
    const bytes = bytesOf(5 * 2 ** 20 + 77);
    const [file, copy] = [join(directory, 'a.bin'), join(directory, 'b.bin')];
    await writeFile(file, bytes);
    const added = await json(['add', file]);
    assert.equal(added['schema'], 'aspen.blob.add/v1');
    const { id, name, sizeBytes, isPinned, isComplete, kind } = added;
    assert.deepEqual(
      { name, sizeBytes, isPinned, isComplete, kind },
      { name: 'a.bin', sizeBytes: bytes.length, isPinned: true, isComplete: true, kind: 'owned' },
    );
    for (const called of [String(id), String(id).slice(0, 20), 'last']) {
      assert.equal((await run(['get', called, copy, '--force'])).code, 0);
      assert.deepEqual(await readFile(copy), Buffer.from(bytes));
    }
    assert.equal((await stat(copy)).mode & 0o777, 0o600);
  });

  it('takes standard input, and writes to standard output', async () => {
    const { stdout: id, code } = await run(['add', '-', '--name', 'words', '-o', 'id'], {
      stdin: 'some words',
    });
    assert.equal(code, 0);
    assert.equal((await run(['get', id.trim()])).stdout, 'some words');
    assert.equal((await json(['stat', id.trim()]))['id'], id.trim());
    const empty = await run(['add', '-'], { stdin: '' });
    assert.equal(empty.stdout.trim(), 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku');
  });

  it('lists, pins and unpins', async () => {
    await run(['add', '-', '--no-pin'], { stdin: 'one' });
    await run(['add', '-'], { stdin: 'two' });
    const { blobs, usedBytes } = (await json(['list'])) as { blobs: { id: string }[]; usedBytes: number };
    assert.equal(blobs.length, 2);
    assert.equal(usedBytes, 6);
    for (const { id } of blobs) assert.equal((await run(['pin', id])).code, 0);
    const table = await run(['list']);
    assert.equal(table.stdout.match(/yes/g)?.length, 2);
    assert.match(table.stderr, /6 B of 8.0 MiB in use/);
    assert.equal((await json(['unpin', blobs[0]?.id ?? '']))['isPinned'], false);
  });

  it('removes what is pinned, at once, and says how much that freed', async () => {
    await run(['add', '-'], { stdin: 'one' });
    const { id, removed, freedBytes } = await json(['rm', 'last']);
    assert.deepEqual({ removed, freedBytes }, { removed: true, freedBytes: 3 });
    assert.equal((await run(['rm', String(id)])).code, 3);
    assert.equal((await json(['list']))['usedBytes'], 0);
  });

  it('replaces no file unasked, and says how to', async () => {
    const file = join(directory, 'kept');
    await writeFile(file, 'kept');
    await run(['add', '-'], { stdin: 'new' });
    const { code, stderr } = await run(['get', 'last', file]);
    assert.equal(code, 4);
    assert.match(stderr, /--force/);
    assert.equal(await readFile(file, 'utf8'), 'kept');
  });

  it('tells with 3 what is nowhere, with 2 what is no id, with 1 what does not fit', async () => {
    assert.equal((await run(['get', NOWHERE, join(directory, 'x')])).code, 3);
    assert.equal((await run(['stat', NOWHERE])).code, 3);
    assert.equal((await run(['unpin', NOWHERE])).code, 3);
    assert.equal((await run(['get', 'last', join(directory, 'x')])).code, 3);
    assert.equal((await run(['add', join(directory, 'absent')])).code, 3);
    const file = join(directory, 'large');
    await writeFile(file, bytesOf(9 * 2 ** 20));
    const { code, stderr } = await run(['add', file]);
    assert.equal(code, 1);
    assert.match(stderr, /blobQuota/);
    assert.deepEqual((await json(['list']))['usedBytes'], 0);
  });
});
