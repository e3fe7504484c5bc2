import { PROGRAM_NAMES } from './bash.ts';
import type { KnownCommand, KnownFlag } from './command-table.ts';

/** A script for fish: a line for each word, with what it does and the command after which it stands. */
export function fishCompletion(table: readonly KnownCommand[]): string {
  const valued = table.map(
    ({ path, flags }) =>
      `    case ${quoted(path.join(' '))}\n      set valued ${flags
        .filter(({ takesValue }) => takesValue)
        .flatMap(({ names }) => names)
        .join(' ')}`,
  );
  const verbs = table
    .filter((command) => command.verbs.length > 0)
    .map(
      ({ path, verbs: names }) =>
        `    case ${quoted(path.join(' '))}\n      set verbs ${names.map(({ name }) => name).join(' ')}`,
    );
  return `# Completion of aspen-agent for fish: aspen-agent completion fish > ~/.config/fish/completions/aspen-agent.fish

# The command that the words before the cursor lead to; "--" once they are those of another program.
function __aspen_agent_path
  set -l path ''
  set -l skips 0
  for word in (commandline -opc)[2..-1]
    if test $skips -eq 1
      set skips 0
      continue
    end
    if test "$word" = --
      echo --
      return
    end
    set -l valued
    set -l verbs
    switch "$path"
${valued.join('\n')}
    end
    switch "$path"
${verbs.join('\n')}
    end
    if string match -q -- '-*' "$word"
      contains -- "$word" $valued; and set skips 1
    else if contains -- "$word" $verbs
      set path (string trim "$path $word")
    end
  end
  echo "$path"
end

function __aspen_agent_at
  test (__aspen_agent_path) = "$argv[1]"
end

complete -c aspen-agent -e
${table.flatMap(linesOf).join('\n')}
complete -c ${PROGRAM_NAMES[1]} -w ${PROGRAM_NAMES[0]}
`;
}

function linesOf({ path, verbs, flags, takesFiles }: KnownCommand): string[] {
  const begin = `complete -c aspen-agent -n ${quoted(`__aspen_agent_at ${quoted(path.join(' '))}`)}`;
  const files = takesFiles ? [] : [`${begin} -f`];
  const words = verbs.map(({ name, description }) => `${begin} -f -a ${name} -d ${quoted(description)}`);
  return [...files, ...words, ...flags.map((flag) => `${begin} ${flagWords(flag)}`)];
}

function flagWords({ names, description, takesValue, choices, isPath }: KnownFlag): string {
  const forms = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const value = takesValue
    ? isPath
      ? ' -rF'
      : choices.length > 0
        ? ` -xa ${quoted(choices.join(' '))}`
        : ' -x'
    : '';
  return `${forms.join(' ')}${value} -d ${quoted(description)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
