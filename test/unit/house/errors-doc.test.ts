import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ERROR_KINDS } from '../../../src/base/index.ts';

describe('docs/ERRORS.md', () => {
  const text = readFileSync(new URL('../../../docs/ERRORS.md', import.meta.url), 'utf8');
  const rows = text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );

  it('shows the same table as the code, in the same order', () => {
    const expected = Object.entries(ERROR_KINDS).map(([code, kind]) => [
      `\`${code}\``,
      `${kind.rpcCode}`,
      `${kind.exitCode}`,
      kind.retry,
      kind.outcome,
      kind.summary,
    ]);
    assert.deepEqual(rows, expected);
  });
});
