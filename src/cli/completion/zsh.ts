import { PROGRAM_NAMES } from './bash.ts';
import type { KnownCommand, KnownFlag } from './command-table.ts';

/** A script for zsh: as that for bash, and each word with what it does. */
export function zshCompletion(table: readonly KnownCommand[]): string {
  return `#compdef ${PROGRAM_NAMES.join(' ')}
# Completion of aspen-agent for zsh. For every shell: aspen-agent completion zsh > "\${fpath[1]}/_aspen-agent"

_aspen_agent_verbs() {
  case $1 in
${table
  .filter(({ verbs }) => verbs.length > 0)
  .map(({ path, verbs }) => `    ${quoted(path.join(' '))}) verbs=(${verbs.map(described).join(' ')}) ;;`)
  .join('\n')}
    *) verbs=() ;;
  esac
}

_aspen_agent_flags() {
  case $1 in
${table
  .map(({ path, flags }) => {
    const all = flags.flatMap(({ names, description }) =>
      names.map((name) => described({ name, description })),
    );
    const valued = flags.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names);
    return `    ${quoted(path.join(' '))}) flags=(${all.join(' ')}); valued=(${valued.join(' ')}) ;;`;
  })
  .join('\n')}
    *) flags=(); valued=() ;;
  esac
}

_aspen_agent_values() {
  case "$1 $2" in
${table.flatMap(({ path, flags }) => flags.flatMap((flag) => valueCase(path, flag))).join('\n')}
  esac
}

_aspen-agent() {
  local at_path='' word flag=''
  local -i at=2
  local -a verbs flags valued
  while ((at < CURRENT)); do
    word=\${words[at]}
    if [[ $word == -- ]]; then
      shift $at words
      ((CURRENT -= at))
      _normal
      return
    fi
    flag=''
    _aspen_agent_verbs "$at_path"
    _aspen_agent_flags "$at_path"
    if [[ $word == -* ]]; then
      if ((\${valued[(Ie)$word]})); then
        flag=$word
        at+=1
      fi
    elif ((\${\${verbs%%:*}[(Ie)$word]})); then
      at_path="\${at_path:+$at_path }$word"
    fi
    at+=1
  done
  _aspen_agent_verbs "$at_path"
  _aspen_agent_flags "$at_path"
  if [[ -n $flag ]] && ((at > CURRENT)); then
    _aspen_agent_values "$at_path" "$flag"
  elif [[ \${words[CURRENT]} == -* ]]; then
    _describe -t flags flag flags
  elif (($#verbs)); then
    _describe -t verbs command verbs
  else
    _files
  fi
}

if [[ $funcstack[1] == _aspen-agent ]]; then
  _aspen-agent "$@"
else
  compdef _aspen-agent ${PROGRAM_NAMES.join(' ')}
fi
`;
}

function valueCase(path: readonly string[], { names, choices, isPath }: KnownFlag): string[] {
  if (!isPath && choices.length === 0) return [];
  const pattern = names.map((name) => quoted(`${path.join(' ')} ${name}`)).join('|');
  return [`    ${pattern}) ${isPath ? '_files' : `compadd -- ${choices.join(' ')}`} ;;`];
}

function described({ name, description }: { readonly name: string; readonly description: string }): string {
  return quoted(`${name.replaceAll(':', '\\:')}:${description}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
