import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { numberKey, prefixEnd, type Store } from '../../../src/storage/index.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';

const KILLS = 4;
const ACKNOWLEDGED_BEFORE_KILL = 400;

describe('lmdb store on a real disk', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aspen-lmdb-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('has every acknowledged write after its process was killed, and each batch whole', async () => {
    const path = join(directory, 'store');
    const acknowledged: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      acknowledged.push(...(await writeAndKill(path, kill * 1_000_000)));
      const store = openLmdbStore(path);
      for (const number of acknowledged) {
        assert.equal(Buffer.from(store.get(`a${numberKey(number)}`) ?? []).toString(), String(number));
      }
      assert.deepEqual(suffixes(store, 'a'), suffixes(store, 'b'), 'half a batch was found');
      await store[Symbol.asyncDispose]();
    }
    assert.ok(acknowledged.length >= KILLS * ACKNOWLEDGED_BEFORE_KILL);
  });

  it('belongs to its owner alone, and its lock file too', async () => {
    const path = join(directory, 'store');
    const store = openLmdbStore(path);
    await store.write([{ type: 'put', key: 'a', value: new Uint8Array(1) }]);
    for (const file of [path, `${path}-lock`]) assert.equal((await stat(file)).mode & 0o777, 0o600, file);
    await store[Symbol.asyncDispose]();
  });

  it('says that a file which is no store is damaged', async () => {
    const path = join(directory, 'store');
    await writeFile(path, Buffer.alloc(16_384, 'x'));
    assert.throws(() => openLmdbStore(path), { name: 'StorageFault', kind: 'damaged' });
  });
});

async function writeAndKill(path: string, first: number): Promise<number[]> {
  const child = spawn(process.execPath, [
    join(import.meta.dirname, 'write-until-killed.ts'),
    path,
    String(first),
  ]);
  let output = '';
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const exit = once(child, 'exit');
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (output.split('\n').length > ACKNOWLEDGED_BEFORE_KILL) child.kill('SIGKILL');
  });
  await Promise.all([exit, once(child.stdout, 'end')]);
  assert.equal(child.signalCode, 'SIGKILL', errors);
  return output.split('\n').slice(0, -1).map(Number);
}

function suffixes(store: Store, prefix: string): string[] {
  return Array.from(store.range({ from: prefix, to: prefixEnd(prefix) }), ([key]) => key.slice(1));
}
