import assert from 'node:assert/strict';
import { environmentLayer, fileLayer, resolveConfig } from '../../../src/agent/config.ts';
import { AspenError } from '../../../src/base/index.ts';

const MACHINE = { cpuCount: 2, hostName: 'here' };
const graceOf = (file: unknown, environment = {}) =>
  resolveConfig({ flag: {}, environment: environmentLayer(environment), file: fileLayer(file) }, MACHINE)
    .config.voterGraceMs;

describe('the grace of a voter that is away', () => {
  it('is 30 s, what the file says, or what the environment says before it', () => {
    assert.equal(graceOf(undefined), 30_000);
    assert.equal(graceOf({ voterGrace: '5m' }), 300_000);
    assert.equal(graceOf({ voterGrace: '5m' }, { ASPEN_VOTER_GRACE: '3s' }), 3_000);
  });

  for (const wrong of ['soon', '10ms', '10d', '', -1]) {
    it(`is refused as ${JSON.stringify(wrong)}, by the name of the setting`, () => {
      assert.throws(
        () => graceOf({ voterGrace: wrong }),
        (error) => error instanceof AspenError && /voterGraceMs from the file/.test(error.message),
      );
    });
  }
});
