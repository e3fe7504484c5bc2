import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../../', import.meta.url);

/** Where the labels of each page are upheld. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  raft: ['src/lease/raft'],
  lease: ['src/lease'],
  coordination: ['src/lease', 'src/cli/held'],
  jobs: ['src/jobs'],
  supervisor: ['src/supervisor'],
  mesh: ['src/mesh', 'src/discovery'],
  blobs: ['src/blobs', 'src/agent'],
  crdt: ['src/crdt'],
  storage: ['src/storage', 'src/lease', 'src/agent'],
  rpc: ['src/rpc', 'src/sdk'],
};

describe('docs/invariants', () => {
  const pages = readdirSync(new URL('docs/invariants/', root)).map((file) => file.replace('.md', ''));

  it('has pages of known parts, and the index names each', () => {
    const index = readFileSync(new URL('docs/INVARIANTS.md', root), 'utf8');
    for (const page of pages) {
      assert.ok(PARTS[page] !== undefined, `${page}.md is of no part`);
      assert.ok(index.includes(`(invariants/${page}.md)`), `INVARIANTS.md does not name ${page}.md`);
    }
  });

  for (const page of pages) {
    it(`${page}: each label stands in the sources`, () => {
      const text = readFileSync(new URL(`docs/invariants/${page}.md`, root), 'utf8');
      const labels = labelsOf(text);
      assert.ok(labels.length > 0, 'no labels in the table');
      const sources = (PARTS[page] ?? []).map(sourcesOf).join('\n');
      const missing = labels.filter((label) => !new RegExp(`\\b${label}\\b`).test(sources));
      assert.deepEqual(missing, []);
    });
  }
});

/** @returns labels in the first cells of tables: `R1`, `V1, V2`, `O1 - O5`. */
function labelsOf(page: string): string[] {
  return page
    .split('\n')
    .map((line) => line.match(/^\| ([A-Z]+\d+(?:[ ,-]+[A-Z]+\d+)*) \|/)?.[1] ?? '')
    .flatMap((cell) => (cell.includes(' - ') ? spanOf(cell) : cell.split(/,\s*/)))
    .filter((label) => label !== '');
}

function spanOf(cell: string): string[] {
  const [from = '', to = ''] = cell.split(' - ');
  const letters = from.replace(/\d+/, '');
  const [first, last] = [from, to].map((label) => Number(label.replace(/\D+/, ''))) as [number, number];
  return Array.from({ length: last - first + 1 }, (_, at) => `${letters}${first + at}`);
}

function sourcesOf(folder: string): string {
  return readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(new URL(`${folder}/${file}`, root), 'utf8'))
    .join('\n');
}
