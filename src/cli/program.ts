import { Command, CommanderError } from 'commander';
import { define, type ExitSlot, exitCodeOf } from './command.ts';
import { addAgentCommands } from './commands/agent.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addBlobCommands } from './commands/blob.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addCounterCommands } from './commands/counter.ts';
import { addDevCommand } from './commands/dev.ts';
import { addDlqCommands } from './commands/dlq.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addElectionCommands } from './commands/election.ts';
import { addGroupCommands } from './commands/group.ts';
import { addHookCommands } from './commands/hook.ts';
import { addJobCommands } from './commands/job.ts';
import { addKvCommands } from './commands/kv.ts';
import { addLockCommands } from './commands/lock.ts';
import { addMetricsCommand } from './commands/metrics.ts';
import { addNetcheckCommand } from './commands/netcheck.ts';
import { addNodeCommands } from './commands/node.ts';
import { addPeersCommand } from './commands/peers.ts';
import { addQueueCommands } from './commands/queue.ts';
import { addRunCommand } from './commands/run.ts';
import { addSecretCommands } from './commands/secret.ts';
import { addServiceCommands } from './commands/service.ts';
import { addTicketCommands } from './commands/ticket.ts';
import { addUpCommands } from './commands/up.ts';
import { addGlobalFlags } from './flags.ts';
import type { CliIo } from './io.ts';

export interface CliOptions {
  readonly version: string;
}

/** Runs one command line. @param argv without the program itself. @returns the exit code. */
export async function runCli(argv: readonly string[], io: CliIo, options: CliOptions): Promise<number> {
  const exit: ExitSlot = { code: 0 };
  const program = createProgram(io, exit, options);
  try {
    refuseUnknown(program, argv);
    await program.parseAsync(helpLast(argv), { from: 'user' });
    return exit.code;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error);
    throw error;
  }
}

/** `help kv put` is `kv put --help`; commander would look no further than `kv`. */
function helpLast([first, ...rest]: readonly string[]): string[] {
  if (first === undefined) return [];
  return first === 'help' ? [...rest, '--help'] : [first, ...rest];
}

/** Help on what does not exist would be the help on what holds it, and look like success. @throws CommanderError */
function refuseUnknown(command: Command, words: readonly string[]): void {
  const [name, ...rest] = words[0] === 'help' ? words.slice(1) : words;
  if (name === undefined || name.startsWith('-') || name === 'help' || command.commands.length === 0) return;
  const found = command.commands.find((one) => one.name() === name || one.aliases().includes(name));
  if (found === undefined)
    command.error(`error: unknown command '${name}'`, { code: 'commander.unknownCommand' });
  else refuseUnknown(found, rest);
}

/** The whole command line, not yet run. */
export function createProgram(io: CliIo, exit: ExitSlot, { version }: CliOptions): Command {
  const program = new Command('aspen-agent');
  program
    .description('A mesh of equal agents that runs jobs, with no central server.')
    .usage('<noun> <verb> [flags]')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
    .showHelpAfterError('(add --help for what it takes)')
    .version(version, '-V, --version', 'the version of this program')
    .addHelpText('after', '\nExample:\n  aspen-agent up --detach && aspen-agent run -- hostname\n');
  addGlobalFlags(program);
  addUpCommands(program, io, exit);
  addAgentCommands(program, io, exit);
  addDoctorCommand(program, io, exit);
  addMetricsCommand(program, io, exit);
  addPeersCommand(program, io, exit);
  addNetcheckCommand(program, io, exit);
  addTicketCommands(program, io, exit);
  addRunCommand(program, io, exit);
  addJobCommands(program, io, exit);
  addQueueCommands(program, io, exit);
  addDlqCommands(program, io, exit);
  addHookCommands(program, io, exit);
  addKvCommands(program, io, exit);
  addLockCommands(program, io, exit);
  addElectionCommands(program, io, exit);
  addCounterCommands(program, io, exit);
  addSecretCommands(program, io, exit);
  addServiceCommands(program, io, exit);
  addCompletionCommand(program, io, exit);
  addNodeCommands(program, io, exit);
  addGroupCommands(program, io, exit);
  addAuditCommands(program, io, exit);
  addBackupCommands(program, io, exit);
  addBlobCommands(program, io, exit);
  addDevCommand(program, io, exit);
  define(program, io, exit, {
    usage: 'version',
    summary: 'the version of this program',
    examples: ['aspen-agent version'],
    run: async () => ({
      schema: 'aspen.version.show/v1',
      value: { version },
      ids: [version],
      text: () => `${version}\n`,
    }),
  });
  return program;
}
