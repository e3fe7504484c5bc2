import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { AspenError, parseDurationMs, parseSizeBytes } from '../base/index.ts';

export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'jsonl', 'yaml', 'id'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** What every command understands. */
export interface GlobalFlags {
  readonly dataDir: string;
  readonly output: OutputFormat;
  /** Whether a format was asked for that programs read; for people a command may have a better way than a table. */
  readonly isForPrograms: boolean;
  /** Whether all of an answer is shown, the cursor of the next page included. */
  readonly isWhole: boolean;
  /** Unit: ms; undefined when not given. */
  readonly timeoutMs: number | undefined;
  readonly isQuiet: boolean;
  readonly hasColor: boolean;
}

/** `ownTimeout`: the command has a `--timeout` of its own. */
export function addGlobalFlags(command: Command, { ownTimeout = false } = {}): void {
  command.option('--data-dir <dir>', 'data directory of the agent (env ASPEN_DATA_DIR)', someText);
  command.addOption(new Option('-o, --output <format>', 'how results are shown').choices(OUTPUT_FORMATS));
  command.option('--json', 'the same as -o json');
  if (!ownTimeout)
    command.option(
      '--timeout <duration>',
      'how long to wait, trying again without a quorum (env ASPEN_TIMEOUT)',
      duration,
    );
  command.option('--quiet', 'nothing on standard error but errors');
  command.option('--no-color', 'no colours (env NO_COLOR)');
}

/** @param options what commander parsed, of the root and of the command, the command's last. */
export function resolveGlobalFlags(
  options: Readonly<Record<string, unknown>>,
  {
    env,
    isTTY,
    ownTimeout,
  }: { env: Readonly<Record<string, string | undefined>>; isTTY: boolean; ownTimeout: boolean },
): GlobalFlags {
  const output = (options['json'] === true ? 'json' : options['output']) as OutputFormat | undefined;
  return {
    dataDir:
      (options['dataDir'] as string | undefined) ?? nonEmpty(env['ASPEN_DATA_DIR']) ?? defaultDataDir(env),
    output: output ?? 'table',
    isForPrograms: output !== undefined && output !== 'table' && output !== 'wide',
    isWhole: output === 'json' || output === 'yaml',
    timeoutMs: ownTimeout ? undefined : ((options['timeout'] as number | undefined) ?? timeoutOf(env)),
    isQuiet: options['quiet'] === true,
    hasColor: isTTY && options['color'] !== false && nonEmpty(env['NO_COLOR']) === undefined,
  };
}

/** @throws AspenError INVALID_PARAMS naming the variable and what stands in it. */
function timeoutOf(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = nonEmpty(env['ASPEN_TIMEOUT']);
  if (text === undefined) return undefined;
  try {
    return parseDurationMs(text);
  } catch (cause) {
    if (!(cause instanceof AspenError)) throw cause;
    throw new AspenError('INVALID_PARAMS', `ASPEN_TIMEOUT: ${cause.message}`, { cause });
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** The platform's directory for data of this user. */
export function defaultDataDir(
  env: Readonly<Record<string, string | undefined>>,
  platform = process.platform,
): string {
  const home = nonEmpty(env['HOME']) ?? homedir();
  if (platform === 'win32')
    return join(nonEmpty(env['LOCALAPPDATA']) ?? join(home, 'AppData', 'Local'), 'Aspen');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'Aspen');
  return join(nonEmpty(env['XDG_DATA_HOME']) ?? join(home, '.local', 'share'), 'aspen');
}

/** For commander: a text that says something; a variable that was not set would otherwise mean the current directory. */
function someText(text: string): string {
  if (text === '') throw new InvalidArgumentError('it is empty');
  return text;
}

/** For commander: `30s` becomes ms. */
export function duration(text: string): number {
  return parsed(parseDurationMs, text);
}

/** For commander: `64MiB` becomes bytes. */
export function size(text: string): number {
  return parsed(parseSizeBytes, text);
}

/** For commander: an instant in ms since 1970, or as it is written; the agent knows which days there are. */
export function instant(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** For commander: what `parse` makes of the text. @throws InvalidArgumentError in place of an AspenError. */
export function parsed<T>(parse: (text: string) => T, text: string): T {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof AspenError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** For commander: a whole number, at least `least`. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
      throw new InvalidArgumentError(`"${text}" is not a whole number of at least ${least}`);
    }
    if (value > most) throw new InvalidArgumentError(`"${text}" is more than ${most}`);
    return value;
  };
}

/** For commander: `key=value`, given any number of times. */
export function keyValues(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError(`"${text}" is not key=value`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

const DEMAND = /^([^=<>!]+?)\s*(>=|<=|!=|>|<|=)(.*)$/s;

/** For commander: `key=value` or a comparison such as `memoryGiB>=32`, given any number of times; the operator stays with the value. */
export function demands(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, label, operator, value] = DEMAND.exec(text) ?? [];
  if (label === undefined) {
    throw new InvalidArgumentError(`"${text}" is not label=value; >=, <=, >, < and != compare`);
  }
  return { ...before, [label]: operator === '=' ? (value as string) : `${operator}${value}` };
}

/** For commander: a flag given any number of times. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
