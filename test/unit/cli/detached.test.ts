import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnAgent, whenAnswering } from '../../../src/cli/detached.ts';
import { DevMesh } from '../../../src/cli/dev-mesh.ts';

const FAKE = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, 'fake-main.ts'),
];

interface Started {
  readonly pid: number;
  readonly args: readonly string[];
}

const startedAt = (dataDir: string) =>
  JSON.parse(readFileSync(join(dataDir, 'started.json'), 'utf8')) as Started;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    return false;
  }
}

describe('an agent in a process of its own', () => {
  it('is waited for until it answers; its directory and its log are its owner’s alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'aspen-detached-'));
    const dataDir = join(directory, 'deep', 'data');
    const spawned = spawnAgent(FAKE, { dataDir, name: 'n' });
    try {
      assert.equal((await whenAnswering(spawned, 15_000)).name, 'fake');
      assert.equal(startedAt(dataDir).pid, spawned.child.pid);
      assert.equal(statSync(dataDir).mode & 0o777, 0o700);
      assert.equal(statSync(join(dataDir, 'agent.log')).mode & 0o777, 0o600);
    } finally {
      spawned.child.kill('SIGKILL');
      await rm(directory, { recursive: true });
    }
  });

  it('that ends early is told by its own last words, not by those of an earlier one', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'aspen-detached-'));
    writeFileSync(join(dataDir, 'agent.log'), 'an old failure\n');
    const spawned = spawnAgent(['/bin/sh', '-c', 'echo a new failure; exit 7'], { dataDir });
    await assert.rejects(whenAnswering(spawned, 15_000), { exitCode: 7, message: 'a new failure' });
    await rm(dataDir, { recursive: true });
  });

  it('is refused a data directory that is a file, by its name', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'aspen-detached-'));
    const dataDir = join(directory, 'file');
    writeFileSync(dataDir, '');
    assert.throws(() => spawnAgent(FAKE, { dataDir }), {
      name: 'CannotStart',
      message: /file is there, and is no directory$/,
    });
    await rm(directory, { recursive: true });
  });

  it('is refused a directory in which its log cannot be written, by the name of the log', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'aspen-detached-'));
    mkdirSync(join(dataDir, 'agent.log'));
    assert.throws(() => spawnAgent(FAKE, { dataDir }), { code: 'DENIED', message: /agent\.log/ });
    await rm(dataDir, { recursive: true });
  });

  it('that cannot be started at all is an error, not a wait', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'aspen-detached-'));
    const spawned = spawnAgent(['/no/such/program'], { dataDir });
    await assert.rejects(whenAnswering(spawned, 15_000), { code: 'ENOENT' });
    await rm(dataDir, { recursive: true });
  });
});

describe('a throw-away mesh', () => {
  it('is a founder and joiners on loopback, and leaves nothing behind', async () => {
    const pids: number[] = [];
    let directory = '';
    {
      await using mesh = new DevMesh(FAKE);
      await mesh.start(3);
      const started = mesh.nodes.map(({ dataDir }) => startedAt(dataDir));
      directory = dirname(mesh.nodes[0]?.dataDir as string);
      assert.deepEqual(
        started.map(({ args }) => args[0]),
        ['up', 'join', 'join'],
      );
      assert.equal(started[1]?.args[1], 'aspen1fake2');
      for (const { args } of started)
        assert.ok(args.includes('/ip4/127.0.0.1/tcp/0') && args.includes('--no-mdns'));
      pids.push(...started.map(({ pid }) => pid));
    }
    assert.deepEqual(pids.map(isAlive), [false, false, false]);
    assert.equal(existsSync(directory), false);
  });
});
