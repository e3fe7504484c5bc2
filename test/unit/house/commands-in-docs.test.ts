import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandTable, type KnownCommand } from '../../../src/cli/completion/index.ts';
import { type CliIo, createProgram } from '../../../src/cli/index.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const table = new Map<string, KnownCommand>(
  commandTable(createProgram({} as CliIo, { code: 0 }, { version: '0.1.0' })).map((command) => [
    command.path.join(' '),
    command,
  ]),
);

/** Command lines of a page: in blocks of code, and between backticks. */
function commandsOf(text: string): string[] {
  const inline = [...text.matchAll(/`(aspen-agent [^`\n]+)`/g)].map(([, line = '']) => line);
  const blocks = text.split('\n').filter((line) => /^(?:\$ | {4})?aspen-agent /.test(line));
  return [...inline, ...blocks]
    .flatMap((line) => line.replace(/\s#.*$/, '').split(/\s(?:&&|\|\||\|)\s/))
    .map((line) => line.trim().replace(/^\$ /, ''))
    .filter((line) => line.startsWith('aspen-agent '));
}

/** @returns what the program would not understand of a command line; undefined where it would. */
function faultIn(line: string): string | undefined {
  const words = line
    .replaceAll(/'[^']*'|"[^"]*"/g, 'X')
    .split(/\s+/)
    .slice(1);
  let path = '';
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as string;
    const { verbs, flags } = table.get(path) as KnownCommand;
    if (word === '--') return undefined;
    if (word.startsWith('-')) {
      const name = word.replace(/[=,.;:)\]].*$/, '');
      const flag = flags.find(({ names }) => names.includes(name));
      if (flag === undefined) return `"aspen-agent ${path}" has no flag ${name}`;
      if (flag.takesValue && !word.includes('=')) at += 1;
    } else if (verbs.length > 0) {
      const named = word.split('|').map((each) => each.replace(/[,.;:)]+$/, ''));
      const unknown = named.find((each) => !verbs.some(({ name }) => name === each));
      const isShown = /^[A-Z.<[…]/.test(word);
      if (unknown !== undefined && !isShown) return `"aspen-agent ${path}" has no verb ${unknown}`;
      path = [path, named[0]].filter((each) => each !== '').join(' ');
      if (!table.has(path)) return undefined;
    }
  }
  return undefined;
}

describe('the commands that pages show', () => {
  for (const page of PAGES) {
    const lines = commandsOf(readFileSync(join(ROOT, page), 'utf8'));
    if (lines.length > 0)
      it(`are understood by the program: ${page}`, () => {
        const faults = lines.flatMap((line) => faultIn(line) ?? []);
        assert.deepEqual(faults, []);
      });
  }

  it('are looked at for words and flags that are none', () => {
    assert.match(faultIn('aspen-agent job lsit') ?? '', /no verb lsit/);
    assert.match(faultIn('aspen-agent kv get a --frm 1') ?? '', /no flag --frm/);
    assert.equal(faultIn('aspen-agent run --node a -- ls --frm'), undefined);
  });
});
