import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../../src/base/index.ts';
import {
  type DataDirectory,
  defaultDataDirectoryPath,
  MemoryDirectoryDisk,
  openMemoryDataDirectory,
} from '../../../src/storage/index.ts';
import { openOsDataDirectory } from '../../../src/storage/os-data-directory.ts';

interface Home {
  readonly path: string;
  open(): Promise<DataDirectory>;
  put(name: string, text: string): Promise<void>;
}

const random = new SeededRandom(1);

describe('data directory', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'aspen-dir-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const homes: Readonly<Record<string, () => Home>> = {
    'on disk': () => {
      const path = join(root, 'a/b');
      return {
        path,
        open: () => openOsDataDirectory(path, { random }),
        put: (name, text) => writeFile(join(path, name), text),
      };
    },
    'in memory': () => {
      const disk = new MemoryDirectoryDisk({ path: '/sim/a', machine: 'm1' });
      return {
        path: disk.path,
        open: () => openMemoryDataDirectory(disk, { random }),
        put: (name, text) => disk.writeAtomic(name, Buffer.from(text)),
      };
    },
  };

  for (const [kind, makeHome] of Object.entries(homes)) {
    describe(kind, () => {
      it('keeps identity and incarnation, and counts every start', async () => {
        const home = makeHome();
        const first = await home.open();
        assert.equal(first.bootCount, 1);
        assert.equal(first.seed.length, 32);
        assert.match(first.incarnation, /^[0-9a-f]{32}$/);
        await first[Symbol.asyncDispose]();
        const second = await home.open();
        assert.equal(second.bootCount, 2);
        assert.deepEqual(second.seed, first.seed);
        assert.equal(second.incarnation, first.incarnation);
        await second[Symbol.asyncDispose]();
      });

      it('is held by one agent at a time', async () => {
        const home = makeHome();
        const first = await home.open();
        await assert.rejects(home.open(), { code: 'CONFLICT', message: new RegExp(home.path) });
        await first[Symbol.asyncDispose]();
        await (await home.open())[Symbol.asyncDispose]();
      });

      it('refuses a newer format by name, and changes nothing', async () => {
        const home = makeHome();
        const first = await home.open();
        await first[Symbol.asyncDispose]();
        await home.put('format.json', '{"formatVersion":7}');
        await assert.rejects(home.open(), { code: 'CONFLICT', message: /format version 7.*up to 4/ });
        await home.put('format.json', '{"formatVersion":1}');
        const second = await home.open();
        assert.equal(second.bootCount, 2);
        await second[Symbol.asyncDispose]();
      });

      it('names a damaged file and lets go of the directory', async () => {
        const home = makeHome();
        await (await home.open())[Symbol.asyncDispose]();
        await home.put('node.json', '{"incarnation":');
        await assert.rejects(home.open(), { code: 'INTERNAL', message: /node\.json is damaged/ });
        await home.put(
          'node.json',
          JSON.stringify({ incarnation: 'a'.repeat(32), bootCount: 9, machine: 'x' }),
        );
        await home.put('identity', 'short');
        await assert.rejects(home.open(), {
          code: 'INTERNAL',
          message: /identity has 5 bytes instead of 32/,
        });
      });

      it('keeps small files, and no name leads out of it or onto its own files', async () => {
        const home = makeHome();
        const directory = await home.open();
        assert.equal(await directory.readFile('mesh'), undefined);
        await directory.writeFileAtomic('mesh', Buffer.from('one'));
        await directory.writeFileAtomic('mesh', Buffer.from('two'));
        assert.equal(Buffer.from((await directory.readFile('mesh')) ?? []).toString(), 'two');
        await directory.removeFile('mesh');
        await directory.removeFile('mesh');
        assert.equal(await directory.readFile('mesh'), undefined);
        for (const name of [
          '../x',
          'a/b',
          '.x',
          '',
          'identity',
          'node.json',
          'lock.1.abcd',
          'agent.sock',
          'A',
        ]) {
          await assert.rejects(
            directory.writeFileAtomic(name, new Uint8Array()),
            { code: 'INVALID_PARAMS' },
            name,
          );
        }
        await directory[Symbol.asyncDispose]();
      });
    });
  }

  it('belongs to its owner alone', async () => {
    const path = join(root, 'own');
    await mkdir(path, { mode: 0o755 });
    const directory = await openOsDataDirectory(path, { random });
    await directory.writeFileAtomic('mesh', Buffer.from('x'));
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    for (const name of ['identity', 'node.json', 'format.json', 'mesh']) {
      assert.equal((await stat(join(path, name))).mode & 0o777, 0o600, name);
    }
    await directory[Symbol.asyncDispose]();
    assert.deepEqual((await readdir(path)).sort(), ['format.json', 'identity', 'mesh', 'node.json']);
  });

  it('is refused when everyone could have changed what is in it', async () => {
    const path = join(root, 'open');
    await mkdir(path);
    await writeFile(join(path, 'aspen.yaml'), '');
    await chmod(path, 0o777);
    await assert.rejects(openOsDataDirectory(path, { random }), { code: 'DENIED', message: /mode 777/ });
  });

  it('is refused when its path is too long for a socket in it', async () => {
    const path = join(root, 'x'.repeat(100));
    await assert.rejects(openOsDataDirectory(path, { random }), {
      code: 'INVALID_PARAMS',
      message: /too long/,
    });
    assert.deepEqual(await readdir(root), []);
  });

  it('a copy keeps the identity and draws another incarnation', async () => {
    const first = await openOsDataDirectory(join(root, 'a'), { random });
    await first[Symbol.asyncDispose]();
    await cp(join(root, 'a'), join(root, 'b'), { recursive: true });
    const copy = await openOsDataDirectory(join(root, 'b'), { random });
    assert.deepEqual(copy.seed, first.seed);
    assert.notEqual(copy.incarnation, first.incarnation);
    assert.equal(copy.bootCount, 2);
    await copy[Symbol.asyncDispose]();
  });

  it('clears what a write that was cut off left behind', async () => {
    const path = join(root, 'a');
    await (await openOsDataDirectory(path, { random }))[Symbol.asyncDispose]();
    await writeFile(join(path, '.mesh.0a0b0c0d.tmp'), 'half');
    await writeFile(join(path, 'notes.tmp'), 'not ours');
    await (await openOsDataDirectory(path, { random }))[Symbol.asyncDispose]();
    const names = await readdir(path);
    assert.ok(names.includes('notes.tmp') && !names.includes('.mesh.0a0b0c0d.tmp'), names.join());
  });

  it('is free again after its agent was killed, and names the one that holds it while it lives', async () => {
    const path = join(root, 'held');
    const child = spawn(process.execPath, [join(import.meta.dirname, 'hold-directory.ts'), path]);
    await once(child.stdout, 'data');
    await assert.rejects(openOsDataDirectory(path, { random }), {
      code: 'CONFLICT',
      message: new RegExp(`pid ${child.pid}`),
    });
    child.kill('SIGSTOP');
    await assert.rejects(openOsDataDirectory(path, { random }), { code: 'CONFLICT' });
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    const next = await openOsDataDirectory(path, { random });
    assert.equal(next.bootCount, 2);
    assert.equal((await readdir(path)).filter((name) => name.startsWith('lock')).length, 1);
    await next[Symbol.asyncDispose]();
  });

  it('of many that want it at the same moment at most one gets it', async () => {
    const path = join(root, 'race');
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => openOsDataDirectory(path, { random })),
    );
    const holders = results.filter((result) => result.status === 'fulfilled');
    assert.ok(holders.length <= 1, `${holders.length} hold it`);
    for (const { value } of holders) await value[Symbol.asyncDispose]();
    await (await openOsDataDirectory(path, { random }))[Symbol.asyncDispose]();
    assert.equal(JSON.parse(await readFile(join(path, 'node.json'), 'utf8')).bootCount, holders.length + 1);
  });

  it('has a default place on every platform', () => {
    const at = (platform: string, environment = {}) =>
      defaultDataDirectoryPath({ platform, homeDirectory: '/home/u', environment });
    assert.equal(at('linux'), '/home/u/.local/share/aspen');
    assert.equal(at('linux', { XDG_DATA_HOME: '/x' }), '/x/aspen');
    assert.equal(at('darwin'), '/home/u/Library/Application Support/Aspen');
    assert.equal(at('win32', { LOCALAPPDATA: 'C:\\L' }), 'C:\\L\\Aspen');
    assert.equal(at('linux', { ASPEN_DATA_DIR: '/d', XDG_DATA_HOME: '/x' }), '/d');
  });
});
