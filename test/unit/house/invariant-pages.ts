/** Pages of `docs/invariants`, as tables of laws. */
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../../', import.meta.url);

export interface Law {
  readonly labels: readonly string[];
  /** Source files that uphold it, as the page names them: the end of a path. */
  readonly keptIn: readonly string[];
  /** Files of tests and observers that attack it. */
  readonly guards: readonly string[];
  /** What the page quotes from titles of tests; left out parts split a quotation in two. */
  readonly quotations: readonly string[];
  /** For laws without a file of tests: why. */
  readonly guardText: string;
}

export interface Page {
  readonly name: string;
  readonly laws: readonly Law[];
}

export function pagesOf(): Page[] {
  const folder = new URL('docs/invariants/', root);
  return readdirSync(folder).map((file) => ({
    name: file.replace('.md', ''),
    laws: lawsOf(readFileSync(new URL(file, folder), 'utf8')),
  }));
}

/** @returns the text of every TypeScript file below `folder`, by its path from the root. */
export function sourcesOf(folder: string): Map<string, string> {
  const files = readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' });
  const paths = files.filter((file) => file.endsWith('.ts')).map((file) => `${folder}/${file}`);
  return new Map(paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')]));
}

/** @returns the paths that end with the name that a page gives. */
export function namedBy(name: string, sources: ReadonlyMap<string, string>): string[] {
  return [...sources.keys()].filter((path) => path === name || path.endsWith(`/${name}`));
}

/** A law that is guarded by "the same" has the guards of the one above it; tests that a page names before a table are those of its laws that name none. */
function lawsOf(page: string): Law[] {
  const laws: Law[] = [];
  let usual: readonly string[] = [];
  for (const line of page.split('\n')) {
    if (!line.startsWith('|') && /^Tests? are in|[.;] Tests are in|test\.ts/.test(line))
      usual = filesIn(line);
    const law = lawOf(line, laws.at(-1), usual);
    if (law !== undefined) laws.push(law);
  }
  return laws;
}

function lawOf(line: string, above: Law | undefined, usual: readonly string[]): Law | undefined {
  const cell = line.match(/^\| ([A-Z]+\d+(?:[ ,-]+[A-Z]+\d+)*) \|/)?.[1];
  if (cell === undefined) return undefined;
  const [, , keptIn = '', ...guardCells] = line.split(/(?<!\\)\|/).slice(1, -1);
  const guardText = guardCells.join(' ').trim();
  const named = filesIn(guardText);
  const inherited = guardText.startsWith('the same') ? (above?.guards ?? []) : usual;
  return {
    labels: labelsOf(cell),
    keptIn: filesIn(keptIn),
    guards: named.length > 0 ? named : inherited,
    quotations: [...guardText.matchAll(/\*([^*]+)\*/g)].flatMap(([, title = '']) => piecesOf(title)),
    guardText,
  };
}

/** `R1`, `V1, V2`, `O1 - O5`. */
function labelsOf(cell: string): string[] {
  return cell.split(/,\s*/).flatMap((part) => {
    const [, letters, from, to] = part.match(/^([A-Z]+)(\d+) - [A-Z]+(\d+)$/) ?? [];
    if (letters === undefined) return [part];
    const count = Number(to) - Number(from) + 1;
    return Array.from({ length: count }, (_, at) => `${letters}${Number(from) + at}`);
  });
}

function filesIn(text: string): string[] {
  return [...text.matchAll(/`([^`\s]+\.ts)`/g)].map(([, file = '']) => file);
}

function piecesOf(title: string): string[] {
  return title
    .split('...')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '');
}
