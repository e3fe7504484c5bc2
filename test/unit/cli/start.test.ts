import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AspenError } from '../../../src/base/index.ts';
import type { AgentStartOptions } from '../../../src/cli/index.ts';
import { startArguments } from '../../../src/cli/start-flags.ts';
import { runCommandLine } from './harness.ts';

const READY = {
  peerId: '12D3KooWx',
  name: 'n',
  meshId: 'm',
  socketPath: '/s',
  addresses: ['/ip4/1.2.3.4/tcp/5'],
};

describe('starting an agent', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'aspen-start-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  async function start(...args: string[]) {
    const started: AgentStartOptions[] = [];
    const ran = await runCommandLine([...args, '--data-dir', dataDir], {
      startAgent: async (options) => {
        started.push(options);
        options.onReady(READY);
        return 0;
      },
    });
    const [{ onReady: _, ...options } = { onReady: undefined }] = started;
    return { ran, options };
  }

  it('leaves what no flag says to the environment, the file and the default', async () => {
    assert.deepEqual((await start('up')).options, { dataDir });
  });

  it('hands every flag over', async () => {
    const flags = [
      '--name',
      'n',
      '--label',
      'a=1',
      '--label',
      'b=2',
      '--listen',
      '/ip4/1.2.3.4/tcp/5',
      '--no-mdns',
    ];
    assert.deepEqual((await start('up', '--foreground', ...flags, '--log-level', 'debug')).options, {
      dataDir,
      name: 'n',
      labels: { a: '1', b: '2' },
      listen: ['/ip4/1.2.3.4/tcp/5'],
      isMdnsEnabled: false,
      logLevel: 'debug',
    });
  });

  it('hands the ticket over where no agent answers yet', async () => {
    assert.deepEqual((await start('join', 'aspen1x', '--abandon')).options, {
      dataDir,
      ticket: 'aspen1x',
      abandon: true,
    });
  });

  for (const detach of [[], ['--detach']])
    it(`starts nothing for a text that is no ticket ${detach.join('')}`, async () => {
      const checked: string[] = [];
      const home = join(dataDir, 'home');
      const ran = await runCommandLine(['join', 'hello', ...detach, '--data-dir', home], {
        checkTicket: async (text) => {
          checked.push(text);
          throw new AspenError('INVALID_PARAMS', 'not a usable ticket');
        },
      });
      assert.deepEqual([ran.code, ran.stderr], [2, 'aspen-agent: not a usable ticket\n']);
      assert.deepEqual(checked, ['hello']);
      await assert.rejects(stat(home), { code: 'ENOENT' });
    });

  it('says where it listens and what comes next, on stderr', async () => {
    const { ran } = await start('up');
    assert.equal(ran.stdout, '');
    for (const text of ['12D3KooWx', '/ip4/1.2.3.4/tcp/5', 'ticket create'])
      assert.ok(ran.stderr.includes(text));
  });

  it('ends with the code of what stopped it', async () => {
    const ran = await runCommandLine(['join', 'aspen1x', '--data-dir', dataDir], {
      startAgent: () => Promise.reject(new AspenError('DENIED', 'the ticket expired')),
    });
    assert.deepEqual([ran.code, ran.stderr], [7, 'aspen-agent: the ticket expired\n']);
  });

  it('with --detach ends with the code of an agent that ended before it answered', async () => {
    const ran = await runCommandLine(['up', '--detach', '--data-dir', dataDir]);
    assert.equal(ran.code, 7, ran.stderr);
    assert.match(ran.stderr, /ended before it answered/);
  });

  it('gives another process the same options', async () => {
    const options = {
      dataDir,
      name: 'n',
      labels: { a: '1' },
      listen: ['/ip4/1.2.3.4/tcp/5'],
      ticket: 'aspen1x',
      abandon: true,
      isMdnsEnabled: false,
      logLevel: 'warn' as const,
    };
    const started: AgentStartOptions[] = [];
    await runCommandLine(startArguments(options), {
      startAgent: async (given) => {
        started.push(given);
        return 0;
      },
    });
    const [{ onReady: _, ...given } = { onReady: undefined }] = started;
    assert.deepEqual(given, options);
  });
});
