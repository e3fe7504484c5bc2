import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CliWorld } from './harness.ts';

const LAUNCHER = join(import.meta.dirname, '../../../bin/aspen-agent');
const VERSION = JSON.parse(await readFile(join(import.meta.dirname, '../../../package.json'), 'utf8'))
  .version as string;
const run = promisify(execFile);
/** Runs a command in a terminal of its own, closes that at the first output, and prints the exit code. */
const CLOSE_THE_TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
os.read(terminal, 1)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe('the launcher', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aspen-launcher-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('works through links of links, from anywhere, without a Node on the path, and warns of nothing', async () => {
    await symlink(LAUNCHER, join(directory, 'aspen'));
    await symlink('aspen', join(directory, 'again'));
    const env = { PATH: '/usr/bin:/bin', HOME: directory };
    const { stdout, stderr } = await run(join(directory, 'again'), ['version'], { cwd: '/', env });
    assert.deepEqual([stdout, stderr], [`${VERSION}\n`, '']);
  });

  if (process.platform === 'linux') {
    it('becomes the program, so that its pid is that of the agent', async () => {
      await using world = await CliWorld.create();
      world.agent.programs.set('long', { output: [['stdout', 'working\n']], runsUntilTold: true });
      const child = spawn(LAUNCHER, ['run', '--data-dir', world.dataDir, '--', 'long'], {
        env: { HOME: directory },
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      assert.match(await readFile(`/proc/${child.pid}/cmdline`, 'utf8'), /main\.ts/);
      child.kill('SIGINT');
      assert.deepEqual(await ended, [130, null]);
      assert.equal([...world.agent.jobs.values()][0]?.state, 'cancelled');
    });

    it('ends with the exit code for a closed terminal, also where it can write nothing any more', async () => {
      await using world = await CliWorld.create();
      world.agent.programs.set('long', { output: [['stdout', 'working\n']], runsUntilTold: true });
      const line = [LAUNCHER, 'run', '--data-dir', world.dataDir, '--', 'long'];
      const env = { PATH: process.env['PATH'], HOME: directory };
      const { stdout } = await run('python3', ['-c', CLOSE_THE_TERMINAL, ...line], { env });
      assert.equal(stdout, '129\n');
      assert.equal([...world.agent.jobs.values()][0]?.state, 'cancelled');
    });

    for (const [how, words, exit, state] of [
      ['cancels its job with the terminal that it was begun in', [], 129, 'cancelled'],
      ['goes on when it was begun with nohup', ['nohup'], 0, 'succeeded'],
    ] as const)
      it(how, async () => {
        await using world = await CliWorld.create();
        world.agent.programs.set('long', { output: [['stdout', 'working\n']], runsUntilTold: true });
        const line = [...words, LAUNCHER, 'run', '--data-dir', world.dataDir, '--', 'long'];
        const child = spawn('env', line, { env: { PATH: '/usr/bin:/bin', HOME: directory } });
        const ended = once(child, 'exit');
        await once(child.stdout, 'data');
        child.kill('SIGHUP');
        child.kill('SIGHUP');
        const [id = ''] = world.agent.jobs.keys();
        if (words.length > 0) setTimeout(() => world.agent.finish(id), 300);
        assert.deepEqual([await ended, world.agent.jobs.get(id)?.state], [[exit, null], state]);
      });
  }

  it('ends quietly when its reader goes away', async () => {
    await using world = await CliWorld.create();
    await world.agent.fill(3_000, 'x'.repeat(100));
    const command = `"${LAUNCHER}" kv scan --limit 10000 --data-dir "${world.dataDir}" | head -1`;
    const { stdout, stderr } = await run('bash', ['-o', 'pipefail', '-c', command], {
      env: { PATH: '/usr/bin:/bin', HOME: directory },
    });
    assert.deepEqual([stdout.startsWith('KEY'), stderr], [true, '']);
  });
});
