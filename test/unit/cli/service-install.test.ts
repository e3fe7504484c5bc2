import assert from 'node:assert/strict';
import { planService, type ServiceHost } from '../../../src/cli/service-unit.ts';
import { runCommandLine } from './harness.ts';

const HOST: ServiceHost = { platform: 'linux', isRoot: false, home: '/home/u', env: {}, hasSystemd: true };
const COMMAND = [
  '/usr/bin/node',
  '/opt/aspen/src/main.ts',
  'up',
  '--foreground',
  '--data-dir',
  '/var/lib/aspen',
];
const wish = { scope: 'system', command: COMMAND, dataDir: '/var/lib/aspen' } as const;

describe('a service of the machine', () => {
  it('is a unit of systemd that leaves jobs to the next agent, and stays down when it was told to', () => {
    const { path, text, commands } = planService(HOST, wish);
    assert.equal(path, '/etc/systemd/system/aspen-agent.service');
    assert.ok(text.includes(`\nExecStart=${COMMAND.join(' ')}\n`), text);
    for (const line of [
      'KillMode=process',
      'KillSignal=SIGUSR2',
      'Restart=on-failure',
      'WantedBy=multi-user.target',
    ])
      assert.ok(text.includes(`\n${line}\n`), line);
    assert.deepEqual(commands, [
      ['systemctl', 'daemon-reload'],
      ['systemctl', 'enable', '--now', 'aspen-agent.service'],
    ]);
  });

  it('is one of its user where it is for one', () => {
    const { path, text, commands } = planService(HOST, { ...wish, scope: 'user' });
    assert.equal(path, '/home/u/.config/systemd/user/aspen-agent.service');
    assert.ok(text.includes('WantedBy=default.target'));
    assert.deepEqual(commands[0], ['systemctl', '--user', 'daemon-reload']);
    const elsewhere = { ...HOST, env: { XDG_CONFIG_HOME: '/x' } };
    assert.equal(
      planService(elsewhere, { ...wish, scope: 'user' }).path,
      '/x/systemd/user/aspen-agent.service',
    );
  });

  it('says what it is told as it is, also where that means something to systemd', () => {
    const odd = ['/a b/node', '--label', 'owner=50%', '--name', 'the "big" $HOME', 'back\\slash one'];
    const { text } = planService(HOST, { ...wish, command: odd });
    const line = text.split('\n').find((each) => each.startsWith('ExecStart='));
    assert.equal(
      line,
      'ExecStart="/a b/node" --label owner=50%% --name "the \\"big\\" $$HOME" "back\\\\slash one"',
    );
  });

  it('is a property list of launchd on macOS', () => {
    const { path, text, commands } = planService(
      { ...HOST, platform: 'darwin', home: '/Users/u' },
      { ...wish, scope: 'user', command: ['/usr/bin/node', 'a & b'] },
    );
    assert.equal(path, '/Users/u/Library/LaunchAgents/dev.aspen.agent.plist');
    assert.ok(text.includes('<string>a &amp; b</string>'));
    assert.deepEqual(commands, [['launchctl', 'load', '-w', path]]);
  });

  it('is none where there is neither, and the message says what to run instead', () => {
    assert.throws(() => planService({ ...HOST, platform: 'win32' }, wish), {
      name: 'CannotStart',
      message: /neither systemd nor launchd runs here; .* \/usr\/bin\/node .* up --foreground/,
    });
  });

  if (process.platform === 'linux') {
    it('is printed for this machine, with the flags that were given', async () => {
      const flags = [
        '--system',
        '--print',
        '--data-dir',
        '/srv/aspen',
        '--name',
        'cellar',
        '--label',
        'zone=home',
      ];
      const { code, stdout, stderr } = await runCommandLine(['service', 'install', ...flags]);
      assert.equal(code, 0, stderr);
      assert.match(
        stdout,
        /\nExecStart=.* up --foreground --data-dir \/srv\/aspen --name cellar --label zone=home\n/,
      );
    });

    it('is refused where it would have to be two things', async () => {
      assert.equal((await runCommandLine(['service', 'install', '--system', '--user'])).code, 2);
      assert.equal((await runCommandLine(['service', 'install', '--print', '--now'])).code, 2);
    });
  }
});
