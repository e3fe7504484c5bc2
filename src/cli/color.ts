const RESET = '\u001b[0m';
const GREEN = '\u001b[32m';
const YELLOW = '\u001b[33m';
const RED = '\u001b[31m';

/** Words that say how something stands, in the tables of those commands whose cells are ours. */
const COLORS: Readonly<Record<string, string>> = {
  succeeded: GREEN,
  'has quorum': GREEN,
  running: YELLOW,
  cancelling: YELLOW,
  dead: RED,
  cancelled: RED,
  'NO QUORUM': RED,
  'not connected': RED,
  FAIL: RED,
  DRAINING: YELLOW,
  WARN: YELLOW,
  OK: GREEN,
};

const PAINTED_SCHEMAS = /^aspen\.(job\.(get|list|wait|cancel|explain)|agent\.(status|doctor)|mesh\.peers)\//;
const WORDS = new RegExp(`(?<![\\w-])(${Object.keys(COLORS).join('|')})(?![\\w-])`, 'g');

/** @returns the text with colours that a terminal shows; what other commands show is left as it is. */
export function paint(schema: string, text: string): string {
  if (!PAINTED_SCHEMAS.test(schema)) return text;
  return text.replace(WORDS, (word) => `${COLORS[word]}${word}${RESET}`);
}
