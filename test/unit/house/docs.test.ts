import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { type CliIo, createProgram } from '../../../src/cli/index.ts';
import { anchorsOf, commandLinesOf, docPages, linksOf, pathsOf } from './doc-pages.ts';

const root = new URL('../../../', import.meta.url);

describe('the pages for people', () => {
  const pages = docPages();
  const program = createProgram({} as CliIo, { code: 0 }, { version: '0.1.0' });

  for (const page of pages) {
    it(`${page.path} links to files and headings that there are`, () => {
      const dead = linksOf(page).filter(({ path, anchor }) => {
        if (!existsSync(new URL(path, root))) return true;
        const target = pages.find((candidate) => candidate.path === path);
        return anchor !== undefined && target !== undefined && !anchorsOf(target).has(anchor);
      });
      assert.deepEqual(dead, []);
    });

    it(`${page.path} names files that there are`, () => {
      assert.deepEqual(
        pathsOf(page).filter((path) => !existsSync(new URL(path, root))),
        [],
      );
    });

    it(`${page.path} shows commands and flags that the program has`, () => {
      assert.deepEqual(
        commandLinesOf(page).flatMap((words) => faultOf(program, words) ?? []),
        [],
      );
    });
  }

  it('docs/ARCHITECTURE.md has the table of rooms that the import rules are made of', () => {
    const { text = '' } = pages.find(({ path }) => path === 'docs/ARCHITECTURE.md') ?? {};
    const rows = [...text.matchAll(/^\| `(\w+)` \| .* \| ([^|]+) \|$/gm)];
    const told = rows.map(([, folder = '', below = '']) => [folder, belowOf(below, folder)]);
    assert.deepEqual(Object.fromEntries(told), allowed());
  });

  it('show commands enough that the check means something', () => {
    assert.ok(pages.flatMap(commandLinesOf).length > 50);
  });

  it('would be seen to show a command or a flag that there is not, or a link that leads nowhere', () => {
    const text =
      '`aspen-agent job explian last`\n    aspen-agent peers --wide && ls --all\n[x](docs/NOWHERE.md#part)';
    const page = { path: 'README.md', text };
    const faults = commandLinesOf(page).map((words) => faultOf(program, words));
    assert.deepEqual(faults, [
      'aspen-agent job explian last: no command explian',
      'aspen-agent peers --wide: no flag --wide',
    ]);
    assert.deepEqual(linksOf(page), [{ path: 'docs/NOWHERE.md', anchor: 'part' }]);
  });
});

/** @returns what each folder may import, sorted, as the import rules say. */
function allowed(): Readonly<Record<string, readonly string[]>> {
  const { forbidden } = createRequire(import.meta.url)('../../../.dependency-cruiser.cjs') as {
    readonly forbidden: readonly { readonly name: string; readonly comment?: string }[];
  };
  const rules = forbidden.filter(({ name }) => name.endsWith('-imports-only-what-lies-below'));
  return Object.fromEntries(
    rules.map(({ comment = '' }) => {
      const [, folder = '', itself = ''] = /^src\/(\w+) may import: (.*)$/.exec(comment) ?? [];
      return [folder, namesIn(itself).filter((name) => name !== folder)];
    }),
  );
}

function belowOf(cell: string, folder: string): readonly string[] {
  if (cell === 'nothing') return [];
  if (!cell.startsWith('all but ')) return namesIn(cell);
  const left = [folder, ...namesIn(cell.slice('all but '.length).replace(' and ', ', '))];
  return Object.keys(allowed())
    .filter((name) => !left.includes(name))
    .sort();
}

function namesIn(list: string): readonly string[] {
  return list.split(', ').sort();
}

/** @returns what the program would not understand; undefined when it understands all. */
function faultOf(program: Command, words: readonly string[]): string | undefined {
  const path = [program];
  const rest = [...words];
  for (let child = childOf(path, rest[0]); child !== undefined; child = childOf(path, rest[0])) {
    path.push(child);
    rest.shift();
  }
  const said = `aspen-agent ${words.join(' ')}`;
  const command = path.at(-1) as Command;
  if (command.commands.length > 0 && /^[a-z]/.test(rest[0] ?? '')) return `${said}: no command ${rest[0]}`;
  const flags = rest.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.split(/[=|]/)[0]);
  const known = path.flatMap(({ options }) => options.flatMap(({ long, short }) => [long, short]));
  const unknown = flags.filter((flag) => flag !== '--help' && !known.includes(flag));
  return unknown.length === 0 ? undefined : `${said}: no flag ${unknown.join(', ')}`;
}

function childOf(path: readonly Command[], word: string | undefined): Command | undefined {
  const parent = path.at(-1) as Command;
  return parent.commands.find(
    (command) => command.name() === word || (word !== undefined && command.aliases().includes(word)),
  );
}
