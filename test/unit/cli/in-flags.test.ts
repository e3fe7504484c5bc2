import assert from 'node:assert/strict';
import type { Argument, Command, Option } from 'commander';
import { AspenError } from '../../../src/base/index.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { CliWorld, type Ran } from './harness.ts';

/** They start something, or go on until they are interrupted, before a flag is looked at by an agent. */
const LEFT_OUT = ['up', 'join', 'dev', 'service install', 'backup', 'restore', 'completion', 'version'];
/** What no field can be, by what the flag stands for. */
const NONSENSE: Readonly<Record<string, readonly string[]>> = {
  duration: ['0s', '99999999d'],
  size: ['0B', '7999TiB'],
  keepDead: ['99999999d'],
  keepBytes: ['7999TiB'],
  hold: ['99999999d'],
  instant: ['tomorrow', '2026-02-30T00:00Z', '2020-01-01T00:00Z'],
};
const NUMBERS = ['0', '9007199254740991'];
const NUMERIC = /^(<n>|<p>)$/;

/** Without which these commands refuse all else. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  'dlq redrive': ['--all'],
  'dlq purge': ['--all'],
  'kv watch': ['--prefix', 'p', '--timeout', '50ms'],
  'semaphore run': ['--limit', '3'],
  'semaphore acquire': ['--limit', '3'],
};

interface Case {
  readonly line: readonly string[];
  readonly flag: string;
}

describe('what an agent refuses of a command line', () => {
  let world: CliWorld;

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  const table: readonly (readonly [line: string[], says: string])[] = [
    [['run', '--timeout', '0s', '--', 'true'], '--timeout: must be at least 1ms'],
    [['run', '--retry', '9999', '--', 'true'], '--retry: must be at most 1000'],
    [['run', '--retry', '3', '--max-losses', '2000', '--', 'true'], '--max-losses: must be at most 1000'],
    [['run', '--nodes', '101', '--', 'true'], '--nodes: must be at most 100'],
    [
      ['run', '--run-at', 'tomorrow', '--', 'true'],
      '--run-at: must be ISO 8601 with a zone, such as 2026-12-01T02:00Z, or milliseconds since 1970',
    ],
    [
      ['run', '--run-at', '2026-02-30T00:00Z', '--', 'true'],
      '--run-at: is a day that its month does not have',
    ],
    [['run', '--key=', '--', 'true'], '--key: must not be empty'],
    [
      ['run', '--label', `k=${'x'.repeat(300)}`, '--', 'true'],
      '--label: k: must have at most 256 characters',
    ],
    [
      ['run', '--timeout', '0s', '--queue=', '--', 'true'],
      '--queue: must not be empty; --timeout: must be at least 1ms',
    ],
    [['ticket', 'create', '--ttl', '0s'], '--ttl: must be at least 1ms'],
    [['kv', 'put', '', 'v'], '<key>: must not be empty'],
    [['kv', 'put', 'k', 'v', '--lease', 'x'], '--lease: must be a lease id (lse_...)'],
    [['lock', 'renew', 'l', 'x'], '<lease>: must be a lease id (lse_...)'],
    [['lock', 'run', 'l', '--ttl', '5ms', '--', 'true'], '--ttl: must be at least 1s'],
    [['lock', 'run', 'l', '--wait', '9999d', '--', 'true'], '--wait: must be at most 7d'],
    [['queue', 'limit', 'q', '--burst', '99999999'], '--burst: must be at most 1000000'],
    [['job', 'submit', '', '1'], '<type>: must not be empty'],
    [['--timeout', '5s', 'job', 'submit', 'echo', '1', '--priority', '11'], '--priority: must be at most 10'],
  ];
  for (const [line, says] of table) {
    it(`is told in its own words: ${line.join(' ').slice(0, 60)}`, async () => {
      const ran = await world.run(line);
      assert.deepEqual([ran.code, ran.stderr], [2, `aspen-agent: ${says}\n`]);
    });
  }

  it('is told before anything is sent where a number is none', async () => {
    const ran = await world.run(['counter', 'cas', 'c', '--expected', 'x', '--value', '1']);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /'--expected <n>' argument 'x' is invalid\. "x" is not a whole number/);
  });

  it('is told as it was said where it was not written there: of a file, or of the environment', async () => {
    const message = 'setting voterGrace from the environment: "30" is not a duration';
    const issues = [{ path: 'voterGrace', message: '"30" is not a duration' }];
    const refused = async () => {
      throw new AspenError('INVALID_PARAMS', message, { details: { issues } });
    };
    const { stderr } = await world.run(['up', '--name', 'n', '--data-dir', `${world.dataDir}/new`], {
      startAgent: refused,
    });
    assert.equal(stderr, `aspen-agent: ${message}\n`);
  });

  it('names the flag whichever number, duration, size or instant of whichever command it is', async () => {
    const refused: Ran[] = [];
    const wrong: string[] = [];
    for (const { line, flag } of cases()) {
      const ran = await world.run(line);
      if (ran.code !== 2) continue;
      refused.push(ran);
      const isNamed =
        ran.stderr.startsWith(`aspen-agent: ${flag}: `) || ran.stderr.includes(`option '${flag} <`);
      if (!isNamed || /expected|Ms\b/.test(ran.stderr)) wrong.push(`${line.join(' ')}: ${ran.stderr}`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(refused.length > 60, `${refused.length}`);
  }).timeout(30_000);
});

function cases(): Case[] {
  const nothing = { write: () => undefined, isTTY: false };
  const io = { stdout: nothing, stderr: nothing } as unknown as Parameters<typeof createProgram>[0];
  return leaves(createProgram(io, { code: 0 }, { version: '1' }), []).flatMap(({ command, path }) =>
    LEFT_OUT.includes(path.join(' ')) ? [] : casesOf(command, path),
  );
}

function leaves(command: Command, path: readonly string[]): { command: Command; path: readonly string[] }[] {
  if (command.commands.length === 0) return [{ command, path }];
  return command.commands.flatMap((inner) => leaves(inner, [...path, inner.name()]));
}

function casesOf(command: Command, path: readonly string[]): Case[] {
  const args = command.registeredArguments.filter(({ required }) => required).map(exampleOf);
  const needed = command.options.filter(({ mandatory }) => mandatory);
  return command.options.flatMap((option) =>
    nonsenseFor(option).map((value) => {
      const others = needed.filter((one) => one !== option).flatMap(({ long }) => [long ?? '', '1']);
      return {
        line: [
          ...path,
          ...(NEEDED[path.join(' ')] ?? []),
          option.long ?? '',
          value,
          ...others,
          ...(args.length > 0 ? ['--', ...args] : []),
        ],
        flag: nameOf(option),
      };
    }),
  );
}

/** `--timeout` is of every command; it says how long to wait, and 0s is a way to wait. */
function nonsenseFor(option: Option): readonly string[] {
  if (option.long === '--timeout' && !/attempt/.test(option.description)) return [];
  if (NUMERIC.test(option.flags.split(' ').at(-1) ?? '')) return NUMBERS;
  return NONSENSE[option.parseArg?.name ?? ''] ?? [];
}

function nameOf({ short, long = '' }: Option): string {
  return short === undefined ? long : `${short}, ${long}`;
}

function exampleOf(argument: Argument): string {
  return argument.name() === 'lease' ? `lse_${'0'.repeat(26)}` : '1';
}
