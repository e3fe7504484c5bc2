/** Pages for people, and what in them can be held against the tree and the program. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

const root = new URL('../../../', import.meta.url);
const FOLDERS = [
  '.',
  'docs',
  'docs/adr',
  'docs/invariants',
  'sdk/python',
  'sdk/conformance',
  'test/transcripts',
];

export interface DocPage {
  /** From the root of the tree. */
  readonly path: string;
  readonly text: string;
}

/** A link to something in this tree. */
export interface DocLink {
  /** From the root of the tree; the page itself where only a part of it is meant. */
  readonly path: string;
  /** The part of the page; undefined where all of it is meant. */
  readonly anchor: string | undefined;
}

export function docPages(): DocPage[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root))
      .filter((file) => file.endsWith('.md'))
      .map((file) => posix.join(folder, file))
      .map((path) => ({ path, text: readFileSync(new URL(path, root), 'utf8') })),
  );
}

/** Links that are not to another site. */
export function linksOf({ path, text }: DocPage): DocLink[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = '', anchor] = target.split('#');
    return [{ path: file === '' ? path : posix.join(posix.dirname(path), file), anchor }];
  });
}

/** The anchors that a forge gives the headings of a page. */
export function anchorsOf({ text }: DocPage): ReadonlySet<string> {
  const headings = withoutCode(text)
    .split('\n')
    .flatMap((line) => /^#{1,6} (.*)$/.exec(line)?.[1] ?? []);
  return new Set(headings.map(anchorOf));
}

/** Paths of the tree that a page names in code: `src/base`, `test/unit/house/docs.test.ts`. */
export function pathsOf({ text }: DocPage): string[] {
  return [...text.matchAll(/`((?:src|test|bench|docs|examples|scripts|sdk|bin)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
}

/** Command lines that a page shows, without the name of the program. */
export function commandLinesOf({ text }: DocPage): string[][] {
  return [...text.matchAll(/(?<=^|[\s;&|(`"])aspen-agent[ \t]+([^`\n]+)/gm)].flatMap(([whole, line = '']) =>
    /^aspen-agent\s+[a-z]/.test(whole) ? [wordsOf(line)] : [],
  );
}

/** Jobs that a page shows, with their payloads as JSON: on a command line, or written out under the heading of their type. */
export function jobsOf({ text }: DocPage): { readonly type: string; readonly payload: string }[] {
  const onCommandLines = [...text.matchAll(/job submit (\w+) '([^']+)'/g)];
  const writtenOut = text.split(/^## /m).flatMap((section) => {
    const type = /^(http|blob|replication|maintenance)\n/.exec(section)?.[1];
    const objects = type === undefined ? [] : [...section.matchAll(/`(\{"[^`]*\})`/g)];
    return objects
      .filter(([, object = '']) => isJson(object))
      .map(([whole, object]) => [whole, type, object]);
  });
  return [...onCommandLines, ...writtenOut].map(([, type = '', payload = '']) => ({
    type,
    payload: payload.replace(/\s+/g, ' '),
  }));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false; // it says what may stand there
    throw error;
  }
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function withoutCode(text: string): string {
  return text
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.slice(1, -1).replace(/[[\]()]/g, ''));
}

/** Up to the end of the command: what is piped, chained, remarked or passed on is not its own. Brackets mark what may be left out. */
function wordsOf(line: string): string[] {
  const words = line.match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? [];
  const end = words.findIndex((word) => /^(--|#.*|\||&&|;|<|>|·|and|is)$/.test(word));
  return (end < 0 ? words : words.slice(0, end)).map((word) => word.replace(/[[\]]/g, ''));
}
