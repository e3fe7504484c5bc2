import assert from 'node:assert/strict';
import { paint } from '../../../src/cli/color.ts';
import { defaultDataDir, resolveGlobalFlags } from '../../../src/cli/flags.ts';
import { exitCodeOfJob } from '../../../src/cli/job-exit.ts';
import { formatTable, formatWhen } from '../../../src/cli/table.ts';
import type { Job } from '../../../src/rpc/index.ts';

describe('flags of every command', () => {
  const resolve = (options: object, env: Record<string, string> = {}, isTTY = true) =>
    resolveGlobalFlags({ color: true, ...options }, { env, isTTY, ownTimeout: false });

  it('take the data directory from the flag, then the environment, then the platform', () => {
    const env = { ASPEN_DATA_DIR: '/env', HOME: '/home/u' };
    assert.equal(resolve({ dataDir: '/flag' }, env).dataDir, '/flag');
    assert.equal(resolve({}, env).dataDir, '/env');
    assert.equal(defaultDataDir({ HOME: '/home/u' }, 'linux'), '/home/u/.local/share/aspen');
    assert.equal(defaultDataDir({ HOME: '/home/u', XDG_DATA_HOME: '/x' }, 'linux'), '/x/aspen');
    assert.equal(
      defaultDataDir({ HOME: '/Users/u' }, 'darwin'),
      '/Users/u/Library/Application Support/Aspen',
    );
  });

  it('take the time to wait from the flag, then the environment, and name what cannot be one', () => {
    assert.equal(resolve({ timeout: 5 }, { ASPEN_TIMEOUT: '7s' }).timeoutMs, 5);
    assert.equal(resolve({}, { ASPEN_TIMEOUT: '7s' }).timeoutMs, 7_000);
    assert.equal(resolve({}, { ASPEN_TIMEOUT: '' }).timeoutMs, undefined);
    const says = /^ASPEN_TIMEOUT: "soon" is not a duration; write for example 500ms/;
    assert.throws(() => resolve({}, { ASPEN_TIMEOUT: 'soon' }), { code: 'INVALID_PARAMS', message: says });
  });

  it('colour only a terminal that nobody asked to keep plain', () => {
    assert.equal(resolve({}).hasColor, true);
    assert.equal(resolve({}, {}, false).hasColor, false);
    assert.equal(resolve({}, { NO_COLOR: '1' }).hasColor, false);
    assert.equal(resolve({ color: false }).hasColor, false);
  });

  it('colour states, and leave what users wrote as it is', () => {
    assert.equal(paint('aspen.job.list/v1', 'job_1  dead\n'), 'job_1  \u001b[31mdead\u001b[0m\n');
    assert.equal(paint('aspen.job.list/v1', 'undead dead-end\n'), 'undead dead-end\n');
    assert.equal(paint('aspen.kv.get/v1', 'dead\n'), 'dead\n');
  });
});

describe('a table', () => {
  it('is plain columns without trailing spaces', () => {
    assert.equal(
      formatTable(
        ['id', 'why'],
        [
          ['a', ''],
          ['long', 'x\ny'],
        ],
      ),
      'ID    WHY\na\nlong  x?y\n',
    );
  });

  it('tells times as people do', () => {
    const format = (ms: number) => `${ms}ms`;
    assert.equal(formatWhen(10, 25, format), '15ms ago');
    assert.equal(formatWhen(30, 25, format), 'in 5ms');
    assert.equal(formatWhen(null, 25, format), '-');
  });
});

describe('the exit code of a job', () => {
  const cases: readonly (readonly [Partial<Job>, number])[] = [
    [{ state: 'succeeded', result: { exitCode: 0, signal: null } }, 0],
    [{ state: 'succeeded', result: 'anything' }, 0],
    [{ state: 'dead', result: { exitCode: 3, signal: null } }, 3],
    [{ state: 'dead', result: { exitCode: null, signal: 'SIGKILL' } }, 137],
    [{ state: 'dead', result: null }, 1],
    [{ state: 'dead', result: { exitCode: 0, signal: null } }, 1],
    [{ state: 'cancelled', result: { exitCode: null, signal: 'SIGTERM' } }, 143],
    [{ state: 'cancelled', result: null }, 1],
  ];
  for (const [job, code] of cases) {
    it(`${job.state} with ${JSON.stringify(job.result)} is ${code}`, () => {
      assert.equal(exitCodeOfJob(job as Job), code);
    });
  }
});
