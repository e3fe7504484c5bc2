import assert from 'node:assert/strict';
import { pidsMaxOf } from '../../../src/supervisor/os-cgroups.ts';

describe('the bound of processes that a control group is given', () => {
  for (const [pids, text] of [
    [undefined, 'max'],
    [50, '50'],
    [2 ** 22, '4194304'],
    [2 ** 22 + 1, 'max'],
    [999_999_999_999, 'max'],
  ] as const)
    it(`is ${text} for ${pids}: the kernel refuses more than it can number`, () => {
      assert.equal(pidsMaxOf(pids), text);
    });
});
