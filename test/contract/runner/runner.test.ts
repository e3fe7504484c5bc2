import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { OsClock } from '../../../src/base/os-clock.ts';
import { MemoryRunner } from '../../../src/supervisor/memory-runner.ts';
import { OsRunner } from '../../../src/supervisor/os-runner.ts';
import type { ProcessRequest, Runner } from '../../../src/supervisor/runner.ts';

const ENV = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };

function requestOf(command: string, args: string[] = [], more: Partial<ProcessRequest> = {}): ProcessRequest {
  return { command, args, env: ENV, shell: false, ...more };
}

async function run(runner: Runner, request: ProcessRequest) {
  const text = { stdout: '', stderr: '' };
  const child = runner.start(request);
  child.onOutput((stream, bytes) => {
    text[stream] += Buffer.from(bytes).toString();
  });
  return { ...(await child.exited), ...text };
}

/** Processes of a group that still run; zombies are gone already. */
function membersOf(group: number): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const [state, , pgrp] =
        readFileSync(`/proc/${entry}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      return Number(pgrp) === group && state !== 'Z' ? [Number(entry)] : [];
    } catch (error) {
      assert.ok(error instanceof Error, 'a process may end while it is looked at');
      return [];
    }
  });
}

async function goneWithin(group: number, mostMs: number): Promise<void> {
  const untilMs = performance.now() + mostMs;
  while (membersOf(group).length > 0) {
    assert.ok(performance.now() < untilMs, `group ${group} still has ${membersOf(group)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const IMPLEMENTATIONS: [string, () => Runner][] = [
  ['os', () => new OsRunner()],
  ['memory', () => new MemoryRunner({ clock: new OsClock() })],
];

for (const [name, create] of IMPLEMENTATIONS) {
  describe(`runner: ${name}`, () => {
    it('gives the output and the exit code', async () => {
      const { exitCode, signal, stdout } = await run(create(), requestOf('echo', ['hello', 'world']));
      assert.deepEqual({ exitCode, signal, stdout }, { exitCode: 0, signal: null, stdout: 'hello world\n' });
      assert.equal((await run(create(), requestOf('false'))).exitCode, 1);
      assert.equal((await run(create(), requestOf('exit', ['7'], { shell: true }))).exitCode, 7);
    });

    it('tells in `exited` that a program does not exist', async () => {
      const { exitCode, spawnError } = await run(create(), requestOf('no-such-program-here'));
      assert.equal(exitCode, null);
      assert.equal(spawnError?.code, 'ENOENT');
      assert.match(spawnError?.message ?? '', /no-such-program-here/);
    });

    it('ends a process at its request to stop, and says which signal did', async () => {
      const child = create().start(requestOf('sleep', ['60']));
      await child.stop(5_000);
      assert.deepEqual(await child.exited, { exitCode: null, signal: 'SIGTERM' });
      await child.stop(5_000);
    });
  });
}

describe('runner: memory alone', () => {
  it('kills a program that does not listen', async () => {
    const deaf = () => new Promise<never>(() => undefined);
    const child = new MemoryRunner({ clock: new OsClock() }, { deaf }).start(requestOf('deaf'));
    const alive = setTimeout(() => undefined, 1_000);
    await child.stop(10);
    clearTimeout(alive);
    assert.equal((await child.exited).signal, 'SIGKILL');
  });
});

describe('runner: os alone', () => {
  const runner = new OsRunner();
  const sh = (script: string, more: Partial<ProcessRequest> = {}) =>
    requestOf(script, [], { shell: true, ...more });

  it('kills a tree that ignores SIGTERM when the grace is over, grandchildren too', async () => {
    const deaf = 'trap "" TERM; (trap "" TERM; sleep 60 & sleep 60) & echo up; wait';
    const child = runner.start(sh(deaf));
    const group = child.pid ?? assert.fail('it has a pid');
    await new Promise<void>((resolve) => child.onOutput(() => resolve()));
    const startedMs = performance.now();
    await child.stop(200);
    assert.ok(performance.now() - startedMs >= 190, 'the grace was given');
    assert.ok(performance.now() - startedMs < 2_000, 'and no more than it');
    assert.equal((await child.exited).signal, 'SIGKILL');
    await goneWithin(group, 500);
  });

  it('lets a child finish its cleaning up within the grace although its leader is gone', async () => {
    const polite = 'trap "sleep 0.2; echo cleaned; exit 0" TERM; echo up; while :; do sleep 0.05; done';
    const child = runner.start(requestOf('sh', ['-c', `sh -c '${polite}'; true`]));
    let text = '';
    await new Promise<void>((resolve) =>
      child.onOutput((_, bytes) => {
        text += Buffer.from(bytes).toString();
        resolve();
      }),
    );
    await child.stop(5_000);
    assert.match(text, /cleaned\n$/);
  });

  it('asks those to end that were stopped, too', async () => {
    const child = new OsRunner().start(requestOf('sh', ['-c', 'echo up; kill -STOP 0; sleep 60']));
    await new Promise<void>((resolve) => child.onOutput(() => resolve()));
    await child.stop(600_000); // longer than this test may take
    assert.equal((await child.exited).signal, 'SIGTERM');
  });

  it('gives files the mode that it is told, and keeps its own', async () => {
    const own = process.umask(0o077);
    try {
      const { stdout } = await run(new OsRunner({ umask: 0o027 }), requestOf('sh', ['-c', 'umask']));
      assert.deepEqual([Number.parseInt(stdout, 8), process.umask()], [0o027, 0o077]);
    } finally {
      process.umask(own);
    }
  });

  it('does not wait for the dead whom nobody buries, as in containers whose first process does not', async () => {
    const careless =
      'import os,time\nif os.fork()==0: time.sleep(60)\nos.setsid(); print(os.getpid(), flush=True); time.sleep(60)';
    const child = new OsRunner().start(
      requestOf('sh', ['-c', 'python3 -c "$1" & exec sleep 60', 'sh', careless]),
    );
    const parent = await new Promise<number>((resolve) => {
      child.onOutput((_, bytes) => resolve(Number(Buffer.from(bytes).toString())));
    });
    try {
      await child.stop(600_000); // longer than this test may take
      assert.equal((await child.exited).signal, 'SIGTERM');
    } finally {
      process.kill(parent, 'SIGKILL');
    }
  });

  it('kills what a leader left behind in its group when it exited', async () => {
    const child = runner.start(sh('sleep 60 & echo started; exit 3'));
    const group = child.pid ?? assert.fail('it has a pid');
    assert.equal((await child.exited).exitCode, 3);
    await goneWithin(group, 500);
  });

  it('does not wait for a descendant that left the group and holds the pipes', async () => {
    const startedMs = performance.now();
    const { stdout, exitCode } = await run(runner, sh('setsid sleep 3 & echo done'));
    assert.deepEqual({ stdout, exitCode }, { stdout: 'done\n', exitCode: 0 });
    assert.ok(performance.now() - startedMs < 2_500);
  });

  it('gives standard input and closes it', async () => {
    const stdin = Buffer.alloc(1_000_000, 'x');
    assert.equal((await run(runner, requestOf('wc', ['-c'], { stdin }))).stdout.trim(), '1000000');
    assert.equal((await run(runner, requestOf('cat'))).stdout, '');
  });

  it('is not troubled by a process that does not read its input', async () => {
    const { exitCode } = await run(runner, requestOf('true', [], { stdin: Buffer.alloc(5_000_000) }));
    assert.equal(exitCode, 0);
  });

  it('loses no byte of a large output', async () => {
    const child = runner.start(requestOf('head', ['-c', '20000000', '/dev/zero']));
    let count = 0;
    child.onOutput((_, bytes) => {
      count += bytes.length;
    });
    await child.exited;
    assert.equal(count, 20_000_000);
  });

  it('names the signal that ended the process', async () => {
    assert.equal((await run(runner, sh('kill -SEGV $$'))).signal, 'SIGSEGV');
  });

  it('tells why a process could not be started', async () => {
    assert.equal((await run(runner, requestOf('/etc/passwd'))).spawnError?.code, 'EACCES');
    const { spawnError } = await run(runner, requestOf('true', [], { cwd: '/no/such/place' }));
    assert.equal(spawnError?.code, 'ENOENT');
    assert.match(spawnError?.message ?? '', /working directory \/no\/such\/place/);
    assert.ok((await run(runner, requestOf('true', ['x'.repeat(4_000_000)]))).spawnError?.code);
  });

  it('gives the environment that was asked for, and nothing else', async () => {
    const { stdout } = await run(runner, requestOf('/usr/bin/env', [], { env: { ONLY: 'this' } }));
    assert.equal(stdout, 'ONLY=this\n');
  });
});
