import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { commandTable } from '../../../src/cli/completion/index.ts';
import { type CliIo, createProgram } from '../../../src/cli/index.ts';
import { runCommandLine } from './harness.ts';

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await runCommandLine(['completion', shell]);
  assert.equal(code, 0, stderr);
  return stdout;
}

const isThere = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;
const bashIt = isThere('bash') ? it : () => undefined;

describe('completion', () => {
  const table = commandTable(createProgram({} as CliIo, { code: 0 }, { version: '0.1.0' }));

  it('knows every command, its flags, which of them take what', () => {
    const find = (path: string) => table.find((command) => command.path.join(' ') === path);
    assert.ok(find('')?.verbs.some(({ name }) => name === 'job'));
    assert.ok(find('job')?.verbs.some(({ name }) => name === 'explain'));
    const output = find('job list')?.flags.find(({ names }) => names.includes('-o'));
    assert.deepEqual(output?.names, ['--output', '-o']);
    assert.ok(output?.choices.includes('jsonl'));
    assert.equal(find('job list')?.flags.find(({ names }) => names.includes('--json'))?.takesValue, false);
    assert.equal(find('up')?.flags.find(({ names }) => names.includes('--data-dir'))?.isPath, true);
    assert.deepEqual(
      find('completion')?.verbs.map(({ name }) => name),
      ['bash', 'zsh', 'fish'],
    );
  });

  const lines: readonly [line: string, offers: readonly string[], not?: readonly string[]][] = [
    ['aspen-agent jo', ['job', 'join'], ['kv']],
    ['aspen job ', ['submit', 'get', 'explain'], ['up']],
    ['aspen-agent job exp', ['explain']],
    ['aspen-agent job list --st', ['--state'], ['--key']],
    ['aspen-agent job list -o js', ['json', 'jsonl'], ['table']],
    ['aspen-agent --data-dir job kv wa', ['watch']],
    ['aspen-agent kv get color --qu', ['--quiet']],
    ['aspen-agent up --log-level ', ['debug', 'error']],
    ['aspen-agent completion ', ['bash', 'zsh', 'fish']],
    ['aspen-agent run -- jo', [], ['job']],
  ];
  for (const [line, offers, not = []] of lines) {
    bashIt(`in bash offers what fits after "${line}"`, async () => {
      const words = line.split(' ');
      const program = `${await scriptFor('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}
compopt() { :; }
complete -p aspen-agent aspen >/dev/null || exit 1
_aspen_agent && printf '%s\\n' "\${COMPREPLY[@]}"`;
      const ran = spawnSync('bash', ['--norc', '-euc', program, 'bash', ...words], { encoding: 'utf8' });
      assert.equal(ran.stderr, '');
      const found = ran.stdout.split('\n');
      assert.deepEqual(
        [...offers].filter((word) => !found.includes(word)),
        [],
        ran.stdout,
      );
      assert.deepEqual(
        not.filter((word) => found.includes(word)),
        [],
        ran.stdout,
      );
    });
  }

  for (const shell of ['bash', 'zsh', 'fish'])
    if (isThere(shell))
      it(`is a script that ${shell} understands`, async () => {
        const ran = spawnSync(shell, ['-n'], { input: await scriptFor(shell), encoding: 'utf8' });
        assert.deepEqual([ran.status, ran.stderr], [0, '']);
      });

  it('has each command in each script', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const script = await scriptFor(shell);
      for (const { path } of table)
        for (const word of path) assert.ok(script.includes(word), `${shell}: ${word}`);
    }
  });

  it('of a shell that is not known is refused with those that are', async () => {
    const { code, stderr } = await runCommandLine(['completion', 'ksh']);
    assert.equal(code, 2);
    assert.match(stderr, /bash, zsh, fish/);
  });
});
