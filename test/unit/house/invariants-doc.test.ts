import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Law, namedBy, pagesOf, sourcesOf } from './invariant-pages.ts';

const root = new URL('../../../', import.meta.url);

/** Where the labels of each page are upheld. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  raft: ['src/lease/raft'],
  lease: ['src/lease'],
  coordination: ['src/lease', 'src/cli/held'],
  jobs: ['src/jobs'],
  agent: ['src/agent'],
  supervisor: ['src/supervisor'],
  audit: ['src/audit', 'src/agent'],
  secrets: ['src/secrets', 'src/lease/machine', 'src/jobs', 'src/supervisor'],
  observability: ['src/agent', 'src/jobs', 'src/rpc'],
  mesh: ['src/mesh', 'src/discovery'],
  blobs: ['src/blobs', 'src/agent'],
  crdt: ['src/crdt'],
  storage: ['src/storage', 'src/lease', 'src/agent'],
  workers: ['src/workers'],
  rpc: ['src/rpc', 'src/sdk'],
};

/** Laws that no test can attack, by page and label. */
const BY_CONSTRUCTION: readonly string[] = ['mesh C2'];

describe('docs/invariants', () => {
  const pages = pagesOf();
  const sources = sourcesOf('src');
  const tests = sourcesOf('test');

  it('has pages of known parts, and the index names each', () => {
    const index = readFileSync(new URL('docs/INVARIANTS.md', root), 'utf8');
    for (const { name, laws } of pages) {
      assert.ok(PARTS[name] !== undefined, `${name}.md is of no part`);
      assert.ok(index.includes(`(invariants/${name}.md)`), `INVARIANTS.md does not name ${name}.md`);
      assert.ok(laws.length > 0, `${name}.md has no table of laws`);
    }
  });

  for (const { name, laws } of pages) {
    it(`${name}: each law stands under its label in the file that keeps it`, () => {
      const missing = laws.flatMap((law) => missingLabels(law, PARTS[name] ?? []));
      assert.deepEqual(missing, []);
    });

    it(`${name}: no label stands for two laws`, () => {
      const labels = laws.flatMap((law) => law.labels);
      assert.deepEqual(
        labels.filter((label, at) => labels.indexOf(label) !== at),
        [],
      );
    });

    it(`${name}: each law names tests that there are, and quotes their titles`, () => {
      assert.deepEqual(
        laws.flatMap((law) => missingGuards(law, name)),
        [],
      );
    });
  }

  function missingLabels({ labels, keptIn }: Law, part: readonly string[]): string[] {
    const gone = keptIn.filter((file) => namedBy(file, sources).length === 0);
    const paths = keptIn.flatMap((file) => namedBy(file, sources));
    const inPart = paths.filter((path) => part.some((folder) => path.startsWith(`${folder}/`)));
    const text = (inPart.length > 0 ? inPart : paths).map((path) => sources.get(path)).join('\n');
    const unsaid = labels.filter((label) => !new RegExp(`\\b${label}\\b`).test(text));
    return [
      ...gone.map((file) => `${labels}: there is no ${file}`),
      ...unsaid.map((label) => `${label} is not said in ${keptIn.join(', ')}`),
    ];
  }

  function missingGuards({ labels, guards, quotations, guardText }: Law, page: string): string[] {
    if (BY_CONSTRUCTION.includes(`${page} ${labels}`)) return [];
    if (guards.length === 0) return [`${labels}: no test is named: ${guardText}`];
    const gone = guards.filter((file) => namedBy(file, tests).length === 0);
    const unsaid = quotations.filter((piece) => ![...tests.values()].some((text) => isSaid(piece, text)));
    return [
      ...gone.map((file) => `${labels}: there is no ${file}`),
      ...unsaid.map((piece) => `${labels}: no test is called ${piece}`),
    ];
  }
});

function isSaid(piece: string, text: string): boolean {
  return text.includes(piece) || text.includes(piece.replaceAll("'", "\\'"));
}
