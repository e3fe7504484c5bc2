import { type Command, Option } from 'commander';
import { AspenError, ERROR_KINDS } from '../../base/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { duration, wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { readTextFrom } from '../spec-flags.ts';
import { formatTable } from '../table.ts';
import { addTxnCommand } from './kv-txn.ts';
import { addWatchCommand } from './kv-watch.ts';

const EXIT_CONFLICT = ERROR_KINDS.CONFLICT.exitCode;
const CONSISTENCIES = ['linearizable', 'lease', 'stale'] as const;
type Consistency = { readonly consistency?: (typeof CONSISTENCIES)[number] };

/** `kv get|put|delete|cas|txn|scan|watch`. */
export function addKvCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const kv = program.command('kv').description('the agreed key-value store');
  define(kv, io, exit, {
    usage: 'get <key>',
    summary: 'print the value of a key',
    examples: ['aspen-agent kv get color', 'aspen-agent kv get color --consistency stale -o json'],
    configure: addConsistency,
    run: getValue,
  });
  define(kv, io, exit, {
    usage: 'put <key> <value>',
    summary: 'set a key; "-" takes the value from standard input',
    examples: [
      'aspen-agent kv put color green',
      'aspen-agent kv put config/nginx - < nginx.conf',
      'aspen-agent kv put lock held --ttl 30s',
      'aspen-agent kv put nodes/a 10.0.0.1 --lease lse_01k9z3...',
    ],
    configure: (command) =>
      command
        .option('--ttl <duration>', 'delete it after this', duration)
        .option('--lease <lease>', 'delete it when this lease ends'),
    run: putValue,
  });
  define(kv, io, exit, {
    usage: 'delete <key>',
    summary: 'remove a key',
    examples: ['aspen-agent kv delete color'],
    run: deleteKey,
  });
  define(kv, io, exit, {
    usage: 'cas <key>',
    summary: 'compare and swap; exit code 4 when the value is another',
    examples: [
      'aspen-agent kv cas color --expected green --value blue',
      'aspen-agent kv cas color --absent --value green',
      'aspen-agent kv cas color --expected blue --delete',
    ],
    configure: (command) =>
      command
        .addOption(new Option('--expected <value>', 'the value it must have now').conflicts('absent'))
        .option('--absent', 'it must be absent now')
        .addOption(
          new Option('--value <value>', 'the value to set ("-": standard input)').conflicts('delete'),
        )
        .option('--delete', 'remove it'),
    run: swapValue,
  });
  addTxnCommand(kv, io, exit);
  addWatchCommand(kv, io, exit);
  define(kv, io, exit, {
    usage: 'scan [prefix]',
    summary: 'keys with a prefix, in order',
    examples: ['aspen-agent kv scan config/', 'aspen-agent kv scan --limit 10 -o jsonl'],
    configure: (command) =>
      addConsistency(
        command
          .option('--limit <n>', 'at most so many', wholeNumber(1))
          .option('--cursor <cursor>', 'go on where an earlier page ended'),
      ),
    run: scanKeys,
  });
}

function addConsistency(command: Command): void {
  command.addOption(new Option('--consistency <level>', 'how fresh it must be').choices(CONSISTENCIES));
}

async function getValue({ args: [key = ''], options, call }: CommandContext): Promise<Output> {
  const entry = await call('kv.get', { key, ...(pick(options, 'consistency') as Consistency) });
  if (entry === null) throw new AspenError('NOT_FOUND', `no key "${key}"`);
  return {
    schema: 'aspen.kv.get/v1',
    value: { key, ...entry },
    ids: [key],
    text: () => `${entry.value}\n`,
  };
}

async function putValue(context: CommandContext): Promise<Output> {
  const { args, options, call } = context;
  const [key = '', given = ''] = args;
  const value = await givenText(context, given);
  const { ttl: ttlMs, lease: leaseId } = options as { readonly ttl?: number; readonly lease?: string };
  const life = { ...(ttlMs !== undefined && { ttlMs }), ...(leaseId !== undefined && { leaseId }) };
  const put = await call('kv.put', { key, value, ...life });
  return {
    schema: 'aspen.kv.put/v1',
    value: { key, ...put },
    ids: [key],
    text: () => `revision ${put.revision}\n`,
  };
}

/** @param given `-` stands for standard input. */
async function givenText(context: CommandContext, given: string): Promise<string> {
  return given === '-' ? await readTextFrom(context, '-') : given;
}

/** Deleting what is absent is no failure: the key is gone either way. */
async function deleteKey({ args: [key = ''], call }: CommandContext): Promise<Output> {
  const gone = await call('kv.delete', { key });
  return {
    schema: 'aspen.kv.delete/v1',
    value: { key, ...gone },
    ids: [key],
    text: () => (gone.deleted ? `deleted at revision ${gone.revision}\n` : 'was absent\n'),
  };
}

async function swapValue(context: CommandContext): Promise<Output> {
  const { args, options, call, io } = context;
  const [key = ''] = args;
  const {
    expected,
    absent,
    value,
    delete: isDelete,
  } = options as Readonly<Record<string, string | undefined>>;
  if (expected === undefined && absent === undefined) throw wrongUsage('give --expected VALUE or --absent');
  if (value === undefined && isDelete === undefined) throw wrongUsage('give --value VALUE or --delete');
  const swap = await call('kv.cas', {
    key,
    expected: expected ?? null,
    value: value === undefined ? null : await givenText(context, value),
  });
  if (!swap.swapped) {
    const now = swap.current === null ? 'it is absent' : `it is ${JSON.stringify(swap.current)}`;
    io.stderr.write(`aspen-agent: not swapped: ${now}\n`);
  }
  return {
    schema: 'aspen.kv.cas/v1',
    value: { key, ...swap },
    ids: [key],
    text: () => (swap.swapped ? `swapped at revision ${swap.revision}\n` : ''),
    exitCode: swap.swapped ? 0 : EXIT_CONFLICT,
  };
}

async function scanKeys({ args: [prefix = ''], options, call, tell }: CommandContext): Promise<Output> {
  const page = await call('kv.scan', { prefix, ...pick(options, 'limit', 'cursor', 'consistency') });
  if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
  return {
    schema: 'aspen.kv.scan/v1',
    value: page,
    items: 'entries',
    ids: page.entries.map(({ key }) => key),
    text: (isWide) =>
      formatTable(
        ['key', 'value', ...(isWide ? ['revision', 'version'] : [])],
        page.entries.map((entry) => [
          entry.key,
          entry.value,
          ...(isWide ? [`${entry.revision}`, `${entry.version}`] : []),
        ]),
      ),
  };
}

/** @returns the named options that were given. */
function pick(options: CommandContext['options'], ...names: readonly string[]): Record<string, never> {
  return Object.fromEntries(
    names.filter((name) => options[name] !== undefined).map((name) => [name, options[name] as never]),
  );
}
