import type { KnownCommand, KnownFlag } from './command-table.ts';

/** The program is called by each of these. */
export const PROGRAM_NAMES = ['aspen-agent', 'aspen'] as const;

/**
 * A script for bash: the words of each command stand in it, so that a press of Tab starts no program. It finds the command by the words before the cursor,
 * with the values of flags left out, and offers its verbs, its flags, or what the flag before the cursor takes.
 */
export function bashCompletion(table: readonly KnownCommand[]): string {
  return `# Completion of aspen-agent for bash. For this shell: source <(aspen-agent completion bash)
# For every shell: aspen-agent completion bash > ~/.local/share/bash-completion/completions/aspen-agent

_aspen_agent_verbs() {
  case "$1" in
${caseOf(table, ({ verbs }) => verbs.map(({ name }) => name))}
  esac
}

_aspen_agent_flags() {
  case "$1" in
${caseOf(table, ({ flags }) => flags.flatMap(({ names }) => names))}
  esac
}

# Flags that a value follows.
_aspen_agent_valued() {
  case "$1" in
${caseOf(table, ({ flags }) => flags.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names))}
  esac
}

_aspen_agent_values() {
  case "$1 $2" in
${valueCases(table).join('\n')}
  esac
}

_aspen_agent_takes_files() {
  case "$1" in
${patterns(table.filter(({ takesFiles }) => takesFiles))}) return 0 ;;
  esac
  return 1
}

_aspen_agent() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word='' flag='' found=''
  local -i at=1
  COMPREPLY=()
  while ((at < COMP_CWORD)); do
    word=\${COMP_WORDS[at]}
    if [[ $word == -- ]]; then
      compopt -o default 2>/dev/null
      return
    fi
    flag=''
    if [[ $word == -* ]]; then
      if [[ " $(_aspen_agent_valued "$path") " == *" $word "* ]]; then
        flag=$word
        at+=1
      fi
    elif [[ " $(_aspen_agent_verbs "$path") " == *" $word "* ]]; then
      path="\${path:+$path }$word"
    fi
    at+=1
  done
  if [[ -n $flag && at -gt COMP_CWORD ]]; then
    found=$(_aspen_agent_values "$path" "$flag")
    if [[ $found == '<path>' ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY=($(compgen -W "$found" -- "$current"))
    fi
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_aspen_agent_flags "$path")" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$(_aspen_agent_verbs "$path")" -- "$current"))
    if _aspen_agent_takes_files "$path"; then compopt -o default 2>/dev/null; fi
  fi
}

complete -F _aspen_agent ${PROGRAM_NAMES.join(' ')}
`;
}

function caseOf(
  table: readonly KnownCommand[],
  wordsOf: (command: KnownCommand) => readonly string[],
): string {
  return table
    .map((command) => ({ command, words: wordsOf(command) }))
    .filter(({ words }) => words.length > 0)
    .map(({ command, words }) => `    '${command.path.join(' ')}') echo '${words.join(' ')}' ;;`)
    .join('\n');
}

function patterns(commands: readonly KnownCommand[]): string {
  return `    ${commands.map(({ path }) => `'${path.join(' ')}'`).join(' | ')}`;
}

function valueCases(table: readonly KnownCommand[]): string[] {
  return table.flatMap(({ path, flags }) =>
    flags.filter(hasKnownValues).map(({ names, choices, isPath }) => {
      const pattern = names.map((name) => `'${path.join(' ')} ${name}'`).join(' | ');
      return `    ${pattern}) echo '${isPath ? '<path>' : choices.join(' ')}' ;;`;
    }),
  );
}

function hasKnownValues({ choices, isPath }: KnownFlag): boolean {
  return isPath || choices.length > 0;
}
