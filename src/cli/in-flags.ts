import type { Command } from 'commander';
import { AspenError, exactSize, formatDuration } from '../base/index.ts';

type Issue = NonNullable<AspenError['details']['issues']>[number];

/** What was given on the command line, by the name of what it becomes: `timeout` -> `--timeout`, `key` -> `<key>`. */
type Given = ReadonlyMap<string, string>;

/** Fields whose flags are called otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  'affinity.waitMs': 'waitForPreferred',
  'affinity.node.peerId': 'node',
  'group.nodes': 'nodes',
  'payload.command': 'program',
  'payload.args': 'program',
  'payload.limits.cpuSeconds': 'cpu',
  'payload.limits.fileBytes': 'fileSize',
  'retry.maxAttempts': 'retry',
  'retry.maxLosses': 'maxLosses',
  units: 'permits',
  ratePerSecond: 'rate',
  maxFinished: 'keep',
  maxFinishedBytes: 'keepBytes',
  deadRetentionMs: 'keepDead',
};
/** Units stand last in the names of fields; flags have none. */
const UNIT = /(Ms|Bytes|Seconds|At|Id)$/;
const RANGE = /^Too (small|big): expected (\w+) to (?:be|have) [<>]=?(-?\d+)(?: (\w+))?$/;

/**
 * What an agent refuses it names by its fields; who wrote a command line knows flags.
 * @returns the same error in the words of the command line, where what is refused was written there.
 */
export function inFlags(error: unknown, command: Command): unknown {
  if (!(error instanceof AspenError) || error.code !== 'INVALID_PARAMS') return error;
  const { issues } = error.details;
  if (issues === undefined || issues.length === 0) return error;
  const given = givenOf(command);
  if (issues.every(({ path }) => placeOf(path, given).name === path)) return error; // it may say more than its issues do
  const message = issues.map((issue) => described(issue, given)).join('; ');
  const { details, outcome } = error;
  return new AspenError(error.code, message, { details, outcome, cause: error });
}

function givenOf(command: Command): Given {
  const given = new Map<string, string>();
  command.registeredArguments.forEach((argument, at) => {
    if (command.args[at] !== undefined) given.set(argument.name(), `<${argument.name()}>`);
  });
  for (const option of command.options) {
    const name = option.attributeName();
    const isGiven = [command, command.parent, command.parent?.parent].some(
      (one) => one?.getOptionValueSource(name) === 'cli',
    );
    if (isGiven && option.long) given.set(name, option.long);
  }
  return given;
}

function described({ path, message }: Issue, given: Given): string {
  const { name, rest } = placeOf(path, given);
  return [name, rest, inUnits(path, message)].filter((part) => part !== '').join(': ');
}

/** The first part of the path that was written, and what is left of it; the path itself where nobody wrote that. */
function placeOf(path: string, given: Given): { readonly name: string; readonly rest: string } {
  const parts = path.split(/\.|(?=\[)/).filter((part) => part !== '');
  for (let count = parts.length; count > 0; count -= 1) {
    const known = given.get(NAMES[parts.slice(0, count).join('.')] ?? '');
    if (known !== undefined) return { name: known, rest: '' };
  }
  for (const [at, part] of parts.entries()) {
    const flag = [part, part.replace(UNIT, ''), part.replace(/s$/, '')].flatMap(
      (name) => given.get(name) ?? [],
    )[0];
    if (flag !== undefined) return { name: flag, rest: parts.slice(at + 1).join('.') };
  }
  return { name: path, rest: '' };
}

/** Numbers with the units that their fields have. */
function inUnits(path: string, message: string): string {
  const [, which, type, digits = '', what] = RANGE.exec(message) ?? [];
  if (which === undefined) return message;
  const isLeast = which === 'small';
  if (type === 'string' && isLeast && digits === '1') return 'must not be empty';
  const bound = what === undefined ? withUnit(path, Number(digits)) : `${digits} ${what}`;
  return `must ${type === 'number' || type === 'int' ? 'be' : 'have'} at ${isLeast ? 'least' : 'most'} ${bound}`;
}

function withUnit(path: string, value: number): string {
  if (path.endsWith('Ms')) return formatDuration(value);
  if (path.endsWith('Bytes')) return exactSize(value);
  if (path.endsWith('Seconds')) return formatDuration(value * 1_000);
  return `${value}`;
}
