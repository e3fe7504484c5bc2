import { Argument, type Command } from 'commander';
import { define, type ExitSlot } from '../command.ts';
import { bashCompletion, commandTable, fishCompletion, zshCompletion } from '../completion/index.ts';
import type { CliIo } from '../io.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof SCRIPTS;

/** `completion bash|zsh|fish`. */
export function addCompletionCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'completion',
    summary: 'print what makes a shell complete the commands and flags of this program',
    examples: [
      'source <(aspen-agent completion bash)',
      'aspen-agent completion bash > ~/.local/share/bash-completion/completions/aspen-agent',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: of zsh
      'aspen-agent completion zsh > "${fpath[1]}/_aspen-agent"',
      'aspen-agent completion fish > ~/.config/fish/completions/aspen-agent.fish',
    ],
    configure: (command) =>
      void command.addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS))),
    run: async ({ args }) => {
      io.stdout.write(SCRIPTS[args[0] as Shell](commandTable(program)));
      return 0;
    },
  });
}
