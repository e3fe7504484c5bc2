import { join } from 'node:path';
import { CannotStart } from '../base/index.ts';

/** Where an agent is to run by itself. */
export interface ServiceHost {
  readonly platform: string;
  readonly isRoot: boolean;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** systemd is what started this machine. */
  readonly hasSystemd: boolean;
}

export interface ServiceWish {
  /** `system`: begins with the machine; `user`: with this user. */
  readonly scope: 'system' | 'user';
  /** The whole command line that stays in the foreground. */
  readonly command: readonly string[];
  readonly dataDir: string;
}

/** What makes the machine start the agent. */
export interface ServicePlan {
  readonly manager: 'systemd' | 'launchd';
  readonly path: string;
  readonly text: string;
  /** In this order, once the file is there. */
  readonly commands: readonly (readonly string[])[];
  /** What else there is to know. */
  readonly hints: readonly string[];
}

export const UNIT_NAME = 'aspen-agent.service';
export const LAUNCHD_LABEL = 'dev.aspen.agent';

/** @throws CannotStart where the system has neither systemd nor launchd. */
export function planService(host: ServiceHost, wish: ServiceWish): ServicePlan {
  if (host.platform === 'linux') return systemdPlan(host, wish);
  if (host.platform === 'darwin') return launchdPlan(host, wish);
  throw new CannotStart(noManager(wish.command));
}

/** What to say where nothing here keeps programs running. */
export function noManager(command: readonly string[]): string {
  return `neither systemd nor launchd runs here; have whatever starts programs on this machine run: ${command.map(shellWord).join(' ')}`;
}

function systemdPlan(
  { home, env, isRoot }: ServiceHost,
  { scope, command, dataDir }: ServiceWish,
): ServicePlan {
  const config = env['XDG_CONFIG_HOME'] || join(home, '.config');
  const directory = scope === 'system' ? '/etc/systemd/system' : join(config, 'systemd', 'user');
  const systemctl = scope === 'system' ? ['systemctl'] : ['systemctl', '--user'];
  return {
    manager: 'systemd',
    path: join(directory, UNIT_NAME),
    text: systemdUnit({ scope, command, dataDir }),
    commands: [
      [...systemctl, 'daemon-reload'],
      [...systemctl, 'enable', '--now', UNIT_NAME],
    ],
    hints:
      scope === 'system'
        ? []
        : [`so that it also runs while ${isRoot ? 'root' : 'you'} are not logged in: loginctl enable-linger`],
  };
}

function systemdUnit({ scope, command, dataDir }: ServiceWish): string {
  return `# Made by: aspen-agent service install. It starts the agent of ${oneLine(dataDir)}.
[Unit]
Description=Aspen agent
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${command.map(systemdWord).join(' ')}
# "aspen-agent down" and "leave" end it for good; a wrong command line would stay wrong.
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=1
# Only the agent is signalled, and it leaves shell jobs to the one that starts next.
KillMode=process
KillSignal=SIGUSR2
TimeoutStopSec=40
LimitNOFILE=65536
# A control group of its own, so that it can bound those of its jobs.
Delegate=yes
DelegateSubgroup=agent

[Install]
WantedBy=${scope === 'system' ? 'multi-user.target' : 'default.target'}
`;
}

function launchdPlan({ home }: ServiceHost, { scope, command, dataDir }: ServiceWish): ServicePlan {
  const directory = scope === 'system' ? '/Library/LaunchDaemons' : join(home, 'Library', 'LaunchAgents');
  const path = join(directory, `${LAUNCHD_LABEL}.plist`);
  const words = command.map((word) => `    <string>${xmlText(word)}</string>`).join('\n');
  const log = xmlText(join(dataDir, 'agent.log'));
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ExitTimeOut</key>
  <integer>40</integer>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>StandardOutPath</key>
  <string>${log}</string>
  <key>StandardErrorPath</key>
  <string>${log}</string>
</dict>
</plist>
`;
  return { manager: 'launchd', path, text, commands: [['launchctl', 'load', '-w', path]], hints: [] };
}

/** As systemd reads a word of a command line: `%` and `$` mean something there. */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w@%$+=:,./-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function xmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, ' ');
}
