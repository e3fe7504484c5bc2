import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { environmentLayer, fileLayer, resolveConfig } from '../../../src/agent/config.ts';
import { docPages } from './doc-pages.ts';
import { sourcesOf } from './invariant-pages.ts';

const MACHINE = { cpuCount: 2, hostName: 'here' };
const NO_LAYERS = { flag: {}, environment: {}, file: {} };

describe('docs/SETTINGS.md', () => {
  const { text } = docPages().find(({ path }) => path === 'docs/SETTINGS.md') ?? { text: '' };
  const rows = [...text.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)].map(([, path = '', cell = '']) => ({
    path,
    byDefault: /^`(.*)`$/.exec(cell)?.[1],
  }));
  const { settings } = resolveConfig(NO_LAYERS, MACHINE);
  const settingOf = (file: unknown, path: string) =>
    resolveConfig({ ...NO_LAYERS, file: fileLayer(file) }, MACHINE).settings.find(({ key }) => key === path);

  it('has a row for each setting, in the order of the program', () => {
    assert.deepEqual(
      rows.map(({ path }) => path),
      settings.map(({ key }) => key),
    );
  });

  for (const { path, byDefault } of rows)
    if (byDefault !== undefined)
      it(`says by which words ${path} has its default`, () => {
        const file = path
          .split('.')
          .reduceRight<unknown>((value, key) => ({ [key]: value }), parse(byDefault));
        const written = settingOf(file, path);
        assert.deepEqual(written, { ...settingOf({}, path), origin: written?.origin });
        assert.equal(written?.origin, 'file');
      });

  it('has units where the program knows them, and nowhere else', () => {
    const withUnits = rows
      .filter(({ byDefault }) => /^\d+(s|d|MiB|GiB)$/.test(byDefault ?? ''))
      .map(({ path }) => path);
    const units = new Map(settings.map(({ key, unit }) => [key, unit]));
    assert.deepEqual(
      withUnits.filter((path) => units.get(path) === undefined),
      [],
    );
    assert.ok(withUnits.length >= 5, withUnits.join());
  });

  it('says how a variable of the environment is called', () => {
    assert.deepEqual(environmentLayer({ ASPEN_SHELL_USER: 'job' }), { shellUser: 'job' });
    const known = new Set(settings.map(({ key }) => variableOf(key)));
    const sources = ['src', 'bench', 'scripts', 'test'].flatMap((folder) => [...sourcesOf(folder).values()]);
    const named = docPages().flatMap((page) => page.text.match(/\bASPEN_[A-Z][A-Z_]*[A-Z]\b/g) ?? []);
    const unknown = [...new Set(named)].filter(
      (name) => !known.has(name) && !sources.some((source) => source.includes(name)),
    );
    assert.deepEqual(unknown, []);
  });
});

function variableOf(path: string): string {
  return `ASPEN_${path.replaceAll('.', '_').replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`;
}
