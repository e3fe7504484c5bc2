import assert from 'node:assert/strict';
import type { Command } from 'commander';
import { type CliIo, createProgram } from '../../../src/cli/index.ts';
import { runCommandLine } from './harness.ts';

/** The commands of this release, by the contract. */
const COMMANDS = [
  ...[
    'up',
    'join',
    'down',
    'leave',
    'status',
    'doctor',
    'metrics',
    'netcheck',
    'peers',
    'run',
    'dev',
    'version',
    'completion',
    'config show',
  ],
  ...['create', 'list', 'inspect', 'revoke'].map((verb) => `ticket ${verb}`),
  ...['submit', 'submit-file', 'get', 'list', 'wait', 'logs', 'cancel', 'explain', 'result'].map(
    (verb) => `job ${verb}`,
  ),
  ...['retry', 'pause', 'resume', 'watch'].map((verb) => `job ${verb}`),
  ...['list', 'pause', 'resume', 'limit', 'limit-type', 'limit-all'].map((verb) => `queue ${verb}`),
  ...['list', 'limit'].map((verb) => `namespace ${verb}`),
  ...['list', 'inspect', 'redrive', 'purge'].map((verb) => `dlq ${verb}`),
  ...['add', 'list', 'get', 'remove', 'test', 'pause', 'resume'].map((verb) => `hook ${verb}`),
  ...['get', 'put', 'delete', 'cas', 'txn', 'scan', 'watch'].map((verb) => `kv ${verb}`),
  ...['lock', 'semaphore'].flatMap((noun) =>
    ['run', 'acquire', 'renew', 'release', 'get', 'list'].map((verb) => `${noun} ${verb}`),
  ),
  ...['run', 'campaign', 'renew', 'proclaim', 'resign', 'leader', 'observe', 'list'].map(
    (verb) => `election ${verb}`,
  ),
  ...['get', 'add', 'cas', 'delete', 'list'].map((verb) => `counter ${verb}`),
  'sequence next',
  ...['set', 'list', 'grant', 'revoke', 'rotate', 'delete'].map((verb) => `secret ${verb}`),
  'audit tail',
  'audit verify',
  'backup',
  'blob add',
  'blob get',
  'blob list',
  'blob pin',
  'blob rm',
  'blob stat',
  'blob unpin',
  'restore',
  ...['register', 'deregister', 'get', 'watch', 'list', 'install'].map((verb) => `service ${verb}`),
  ...['grant', 'keep-alive', 'revoke', 'get', 'list'].map((verb) => `lease ${verb}`),
  ...['status', 'transfer', 'recover'].map((verb) => `group ${verb}`),
  ...['list', 'drain', 'undrain', 'label', 'revoke'].map((verb) => `node ${verb}`),
];

function leavesOf(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
  if (command.commands.length === 0) return [{ path: path.join(' '), command }];
  return command.commands.flatMap((child) => leavesOf(child, [...path, child.name()]));
}

describe('the help', () => {
  const leaves = leavesOf(createProgram({} as CliIo, { code: 0 }, { version: '0.1.0' }));

  it('knows the commands of this release and no other', () => {
    assert.deepEqual(leaves.map(({ path }) => path).sort(), [...COMMANDS].sort());
  });

  for (const { path, command } of leaves) {
    it(`of ${path} tells what it does, with an example that it understands, and the flags of every command`, async () => {
      const { code, stdout } = await runCommandLine([...path.split(' '), '--help']);
      assert.equal(code, 0);
      const [, examples = ''] = stdout.split(/Examples?:\n/);
      assert.ok(examples.includes(`aspen-agent ${path}`), stdout);
      for (const flag of ['--data-dir', '--output', '--json', '--timeout', '--quiet', '--no-color']) {
        assert.ok(stdout.includes(flag), `${path} has no ${flag}`);
      }
      assert.notEqual(command.description(), '');
    });
  }

  it('of the program goes to stdout and ends with 0; without a command it ends with 2', async () => {
    assert.equal((await runCommandLine(['--help'])).code, 0);
    assert.match((await runCommandLine(['--help'])).stdout, /Usage: aspen-agent/);
    assert.equal((await runCommandLine([])).code, 2);
    assert.equal((await runCommandLine(['job'])).code, 2);
    assert.equal((await runCommandLine(['--version'])).stdout, '0.1.0\n');
  });
});
