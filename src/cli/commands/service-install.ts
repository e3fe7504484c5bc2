import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { CannotStart } from '../../base/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import { osServiceHost, runServiceCommands, writeService } from '../os-service-host.ts';
import type { Output } from '../output.ts';
import { noManager, planService } from '../service-unit.ts';
import { addNodeFlags, startArguments, startChoices } from '../start-flags.ts';

/** `service install`, beside the services of a mesh. */
export function addServiceInstallCommand(service: Command, io: CliIo, exit: ExitSlot): void {
  define(service, io, exit, {
    usage: 'install',
    summary: 'have this machine start the agent by itself: a unit of systemd, a property list of launchd',
    examples: [
      'aspen-agent service install --now',
      'sudo aspen-agent service install --system --data-dir /var/lib/aspen --name cellar --now',
      'aspen-agent service install --print > aspen-agent.service',
    ],
    configure: (command) => {
      addNodeFlags(command);
      command
        .option('--system', 'it begins with the machine (what root gets without either)')
        .addOption(new Option('--user', 'it begins with this user (what others get)').conflicts('system'))
        .addOption(
          new Option('--print', 'write its text to standard output, and change nothing').conflicts('now'),
        )
        .option('--now', 'start it, too');
    },
    run: install,
  });
}

async function install(context: CommandContext): Promise<Output | number> {
  const { io, options, flags, tell } = context;
  const host = osServiceHost(io.env);
  const scope = options['system'] === true || (host.isRoot && options['user'] !== true) ? 'system' : 'user';
  const dataDir = resolve(flags.dataDir);
  const command = [...io.self, ...startArguments({ dataDir, ...startChoices(context) })];
  const plan = planService(host, { scope, command, dataDir });
  if (options['print'] === true) {
    io.stdout.write(plan.text);
    return 0;
  }
  if (plan.manager === 'systemd' && !host.hasSystemd) throw new CannotStart(noManager(command));
  writeService(plan);
  const isStarted = options['now'] === true;
  if (isStarted) runServiceCommands(plan);
  else tell(`next: ${plan.commands.map((words) => words.join(' ')).join(' && ')}`);
  for (const hint of plan.hints) tell(hint);
  return {
    schema: 'aspen.service.install/v1',
    value: { path: plan.path, manager: plan.manager, scope, dataDir, isStarted },
    ids: [plan.path],
    text: () => `${plan.path}\n`,
  };
}
