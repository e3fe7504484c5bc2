import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
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
        (error) => error instanceof AspenError && /voterGrace from the file/.test(error.message),
      );
    });
  }
});

describe('the settings of a node', () => {
  const resolve = (file: unknown, environment = {}, flag = {}) =>
    resolveConfig(
      { flag, environment: environmentLayer(environment), file: fileLayer(file, '/d/aspen.yaml') },
      MACHINE,
    );
  const refusal = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof AspenError && error.code === 'INVALID_PARAMS', String(error));
      return error.message;
    }
    return assert.fail('was taken');
  };

  it('are what they should be where nothing is said: any command, nothing limited but output, no sandbox', () => {
    const { config } = resolve(undefined);
    assert.deepEqual(
      [config.shellCommands, config.sandboxLayer, config.limits.pids],
      ['any', 'none', 'none'],
    );
    assert.equal(config.limits.outputBytes, 64 * 2 ** 20);
  });

  it('say what their numbers count where people write them with a unit, also where a file does not', () => {
    const { settings } = resolve({ voterGrace: 90_000, limits: { memory: '1GiB' } });
    const told = Object.fromEntries(settings.map(({ key, value, unit }) => [key, [value, unit]]));
    assert.deepEqual(
      ['voterGrace', 'limits.memory', 'limits.wallClock', 'blobQuota', 'slots'].map((key) => told[key]?.[1]),
      ['ms', 'bytes', 'ms', 'bytes', undefined],
    );
    assert.deepEqual([told['voterGrace']?.[0], told['limits.memory']?.[0]], [90_000, 2 ** 30]);
  });

  it('come from the flag before the environment, from that before the file, and say so', () => {
    const { config, settings } = resolve(
      { name: 'file', slots: 3, shell: { commands: ['git'] }, limits: { memory: '1GiB' } },
      { ASPEN_SLOTS: '4', ASPEN_LIMITS_MEMORY: '64MiB', ASPEN_SHELL_DIRECTORIES: '/srv,/data' },
      { name: 'flag' },
    );
    const originOf = (key: string) => settings.find((setting) => setting.key === key)?.origin;
    assert.deepEqual([config.name, originOf('name')], ['flag', 'flag']);
    assert.deepEqual([config.slots, originOf('slots')], [4, 'environment']);
    assert.deepEqual([config.limits.memoryBytes, originOf('limits.memory')], [64 * 2 ** 20, 'environment']);
    assert.deepEqual([config.shellCommands, originOf('shell.commands')], [['git'], 'file']);
    assert.deepEqual(
      [config.shellDirectories, originOf('shell.directories')],
      [['/srv', '/data'], 'environment'],
    );
    assert.equal(originOf('limits.cpuSeconds'), 'default');
  });

  it('show a proxy without its password, whoever named it, and keep it for the agent', () => {
    const url = 'http://ada:pass-word@proxy.corp:3128';
    for (const { config, settings } of [resolve({ proxy: url }), resolve({}, { ASPEN_PROXY: url })]) {
      assert.equal(config.proxy, url);
      assert.equal(settings.find(({ key }) => key === 'proxy')?.value, 'http://proxy.corp:3128');
    }
    assert.equal(resolve({ proxy: 'off' }).settings.find(({ key }) => key === 'proxy')?.value, 'off');
    const said = refusal(() => resolve({ proxy: 'socks5://ada:pass-word@proxy.corp' }));
    assert.match(said, /setting proxy from the file: the proxy is of a kind \(socks5:\)/);
    assert.doesNotMatch(said, /pass-word/);
  });

  const wrongs: readonly (readonly [string, unknown, RegExp])[] = [
    ['a key that is nearly one', { shel: { commands: [] } }, /^\/d\/aspen\.yaml: unknown key shel; /],
    [
      'a key inside that is nearly one',
      { shell: { comands: [] } },
      /unknown key shell\.comands; did you mean shell\.commands\?/,
    ],
    [
      'a key with nothing behind it',
      { shell: { commands: null } },
      /shell\.commands: nothing is written there/,
    ],
    ['a value where a map belongs', { limits: 'none' }, /limits: must be a map/],
    ['a list as a whole', [], /must be a map of settings/],
    [
      'a size that is none',
      { limits: { memory: 'much' } },
      /setting limits\.memory from the file: "much" is not a size/,
    ],
    ['a memory no program starts in', { limits: { memory: 1 } }, /limits\.memory from the file/],
    [
      'a relative directory',
      { shell: { directories: ['work'] } },
      /shell\.directories from the file: 0: write an absolute path/,
    ],
    ['a rate that is none', { rates: { shell: 'often' } }, /rates from the file: shell: write a rate/],
    ['a layer that nobody knows', { sandbox: { layer: 'jail' } }, /sandbox\.layer from the file/],
  ];
  for (const [what, file, says] of wrongs) {
    it(`refuse ${what}, by its path`, () =>
      assert.match(
        refusal(() => resolve(file)),
        says,
      ));
  }

  const bounds: [file: unknown, words: string][] = [
    [{ slots: 10_001 }, 'slots from the file: must be at most 10000'],
    [{ slots: 1.5 }, 'slots from the file: must be a whole number'],
    [{ slots: 'x' }, 'slots from the file: must be a number'],
    [{ voterGrace: '1ms' }, 'voterGrace from the file: must be at least 1s'],
    [{ outputRetention: '9999d' }, 'outputRetention from the file: must be at most 366d'],
    [{ maximums: { memory: 1 } }, 'maximums.memory from the file: must be at least 1MiB'],
    [{ maximums: { memory: 'much' } }, 'maximums.memory from the file: "much" is not a size; '],
    [{ relay: 'x' }, 'relay from the file: must be one of auto, on, off'],
    [{ name: '' }, 'name from the file: must not be empty'],
    [{ name: 'n'.repeat(65) }, 'name from the file: must have at most 64 characters'],
    [{ mdns: 3 }, 'mdns from the file: must be true or false'],
    [{ listen: [1] }, 'listen from the file: 0: must be a text'],
  ];
  for (const [file, words] of bounds) {
    it(`are refused in the units they are written in: ${words}`, () => {
      const told = refusal(() => resolve(file));
      assert.ok(told.startsWith(`setting ${words}`), told);
    });
  }

  it('refuse what the environment says wrong, by the variable', () => {
    assert.match(
      refusal(() => resolve({}, { ASPEN_LABELS: 'eu' })),
      /ASPEN_LABELS: "eu" is no pair/,
    );
    assert.match(
      refusal(() => resolve({}, { ASPEN_LIMITS_PROCESSES: 'few' })),
      /ASPEN_LIMITS_PROCESSES: "few" is no number/,
    );
    assert.match(
      refusal(() => resolve({}, { ASPEN_SLOTS: '' })),
      /ASPEN_SLOTS: "" is no number/,
    );
    assert.match(
      refusal(() => resolve({}, { ASPEN_MDNS: 'maybe' })),
      /ASPEN_MDNS: "maybe" is neither true nor false/,
    );
    assert.match(
      refusal(() => resolve({}, { ASPEN_SLOTS: '-1' })),
      /slots from the environment/,
    );
  });
});

describe('the example of docs/SANDBOX.md', () => {
  it('is a file that an agent takes', () => {
    const page = readFileSync(new URL('../../../docs/SANDBOX.md', import.meta.url), 'utf8');
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const { config } = resolveConfig({ flag: {}, environment: {}, file: fileLayer(parse(example)) }, MACHINE);
    assert.deepEqual(
      [config.sandboxLayer, config.limits.pids, config.maximums.memoryBytes],
      ['bwrap', 200, 4 * 2 ** 30],
    );
  });
});
