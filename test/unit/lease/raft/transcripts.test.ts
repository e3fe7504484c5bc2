import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { replay } from '../../../transcripts/transcript.ts';

const FOLDER = new URL('../../../transcripts/raft/', import.meta.url);
/** Given, transcripts are made anew instead of compared. */
const isRewriting = process.env['ASPEN_REWRITE'] === '1';

describe('raft: transcripts', () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
    it(file.replace('.txt', '').replaceAll('-', ' '), () => {
      const path = new URL(file, FOLDER);
      const expected = readFileSync(path, 'utf8');
      const actual = replay(expected);
      if (isRewriting) writeFileSync(path, actual);
      else assert.equal(actual, expected);
    });
  }

  it('a command that is not known is named with its line', () => {
    assert.throws(() => replay('start 1\n\nsing 1'), { message: 'line 3, sing 1' });
  });

  it('what is told at the margin stays, what is indented is made anew', () => {
    assert.equal(
      replay('# why\nstart 1\n\nstatus\n  old'),
      '# why\nstart 1\n\nstatus\n  1 follower of nobody, term 0, commit 0 of 0, voters 1',
    );
  });
});
