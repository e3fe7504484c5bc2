import type { Command, Option } from 'commander';

/** One flag, as shells complete it. */
export interface KnownFlag {
  /** As it is written: `--output`, `-o`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** The only values it takes, where these are known. */
  readonly choices: readonly string[];
  /** Its value is a path. */
  readonly isPath: boolean;
}

/** One command, or a noun with verbs. */
export interface KnownCommand {
  /** The words that lead to it; none for the program itself. */
  readonly path: readonly string[];
  /** What may stand next: a verb, or one of the words that it takes. */
  readonly verbs: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly KnownFlag[];
  /** What stands after it are words of another program, or files. */
  readonly takesFiles: boolean;
}

const PATH_VALUE = /<(dir|file|path)>/i;
const FILE_ARGUMENTS = new Set(['file', 'path', 'program', 'payload', 'backup', 'directory']);

/** Everything that the program understands, outermost first: its own table, so that nothing is told twice. */
export function commandTable(program: Command): KnownCommand[] {
  return below(program, []);
}

function below(command: Command, path: readonly string[]): KnownCommand[] {
  const choices = command.registeredArguments[0]?.argChoices ?? [];
  const known: KnownCommand = {
    path,
    verbs: [
      ...choices.map((name) => ({ name, description: '' })),
      ...command.commands.map((verb) => ({ name: verb.name(), description: verb.description() })),
      ...(path.length === 0 ? [{ name: 'help', description: 'help on a command' }] : []),
    ],
    flags: [...command.options.filter(({ hidden }) => !hidden).map(flagOf), HELP],
    takesFiles: command.registeredArguments.some((argument) => FILE_ARGUMENTS.has(argument.name())),
  };
  const chosen = choices.map((name) => ({ ...known, path: [...path, name], verbs: [] }));
  return [known, ...chosen, ...command.commands.flatMap((verb) => below(verb, [...path, verb.name()]))];
}

const HELP: KnownFlag = {
  names: ['--help', '-h'],
  description: 'help on this command',
  takesValue: false,
  choices: [],
  isPath: false,
};

function flagOf({ long, short, description, required, optional, flags, argChoices }: Option): KnownFlag {
  return {
    names: [long, short].filter((name) => name !== undefined && name !== null) as string[],
    description,
    takesValue: required || optional,
    choices: argChoices ?? [],
    isPath: PATH_VALUE.test(flags),
  };
}
