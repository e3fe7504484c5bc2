import assert from 'node:assert/strict';
import { exactDuration, exactSize, parseDurationMs, parseSizeBytes } from '../../../src/base/index.ts';

describe('a duration and a size that are written out', () => {
  for (const [ms, text] of [
    [0, '0s'],
    [1, '1ms'],
    [1_500, '1500ms'],
    [30_000, '30s'],
    [5_400_000, '1h30m'],
    [7 * 86_400_000, '7d'],
    [86_401_000, '1d1s'],
  ] as const)
    it(`${ms} ms is ${text}, which is read as the same`, () => {
      assert.equal(exactDuration(ms), text);
      assert.equal(parseDurationMs(text), ms);
    });

  for (const [bytes, text] of [
    [0, '0B'],
    [1_500, '1500B'],
    [64 * 2 ** 20, '64MiB'],
    [10 * 2 ** 30, '10GiB'],
    [2 ** 40, '1TiB'],
    [3 * 2 ** 9, '1536B'],
  ] as const)
    it(`${bytes} bytes are ${text}, which is read as the same`, () => {
      assert.equal(exactSize(bytes), text);
      assert.equal(parseSizeBytes(text), bytes);
    });
});
