import assert from 'node:assert/strict';
import { type ConfigLayer, resolveConfig } from '../../../src/agent/config.ts';
import { parseRemembered, remember } from '../../../src/agent/remembered-flags.ts';

const MACHINE = { cpuCount: 2, hostName: 'host' };

function started(flag: ConfigLayer, before: Uint8Array | undefined, file: ConfigLayer = {}) {
  const remembered = parseRemembered(before);
  const { config, settings } = resolveConfig({ flag, environment: {}, file, remembered }, MACHINE);
  const origin = (key: string) => settings.find((setting) => setting.key === key)?.origin;
  return { config, origin, file: remember(remembered, flag) ?? before };
}

describe('flags of an earlier start', () => {
  const first = started({ name: 'cellar', labels: { disk: 'big' } }, undefined);

  it('still hold when a node is started again without them', () => {
    const again = started({}, first.file);
    assert.deepEqual([again.config.name, again.config.labels], ['cellar', { disk: 'big' }]);
    assert.equal(again.origin('name'), 'earlier flag');
  });

  it('are replaced by a flag that is given anew, each for itself', () => {
    const renamed = started({ name: 'attic' }, first.file);
    const again = started({}, renamed.file);
    assert.deepEqual([again.config.name, again.config.labels], ['attic', { disk: 'big' }]);
  });

  it('give way to the file of settings', () => {
    assert.equal(started({}, first.file, { name: 'written' }).config.name, 'written');
  });

  it('do not include what concerns one run only', () => {
    assert.equal(remember({}, { logLevel: 'debug' }), undefined);
  });

  for (const bytes of ['', '{', '[]', 'null', '\u0000'].map((text) => Buffer.from(text))) {
    it(`are as if they had never been given when their file holds ${JSON.stringify(bytes.toString())}`, () => {
      assert.equal(started({}, bytes).config.name, 'host');
    });
  }
});
