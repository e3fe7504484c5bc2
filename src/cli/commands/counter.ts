import { type Command, Option } from 'commander';
import { ERROR_KINDS } from '../../base/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { parsed, wholeNumber } from '../flags.ts';
import { addPageFlags, pageOf } from '../held-flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable } from '../table.ts';

const EXIT_CONFLICT = ERROR_KINDS.CONFLICT.exitCode;

/** `counter get|add|cas|delete|list` and `sequence next`. */
export function addCounterCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const counter = program.command('counter').description('numbers that the whole mesh shares');
  define(counter, io, exit, {
    usage: 'get <name>',
    summary: 'print a counter; 0 when it was never set',
    examples: ['aspen-agent counter get visits'],
    run: async ({ args: [name = ''], call }) =>
      counterOutput('aspen.counter.get/v1', name, await call('counter.get', { name })),
  });
  define(counter, io, exit, {
    usage: 'add <name> [delta]',
    summary: 'add to a counter (1 unless told) and print it',
    examples: ['aspen-agent counter add visits', 'aspen-agent counter add visits -- -5'],
    run: async ({ args: [name = '', delta = '1'], call }) =>
      counterOutput('aspen.counter.add/v1', name, await call('counter.add', { name, delta: whole(delta) })),
  });
  define(counter, io, exit, {
    usage: 'cas <name>',
    summary: 'set a counter that has the expected value; exit code 4 when it has another',
    examples: ['aspen-agent counter cas visits --expected 7 --value 0'],
    configure: (command) =>
      command
        .addOption(
          new Option('--expected <n>', 'the value it must have')
            .argParser((text) => parsed(whole, text))
            .makeOptionMandatory(),
        )
        .addOption(
          new Option('--value <n>', 'the value to set')
            .argParser((text) => parsed(whole, text))
            .makeOptionMandatory(),
        ),
    run: swapCounter,
  });
  define(counter, io, exit, {
    usage: 'delete <name>',
    summary: 'remove a counter; it is 0 again',
    examples: ['aspen-agent counter delete visits'],
    run: async ({ args: [name = ''], call }) => {
      const result = await call('counter.delete', { name });
      const text = result.deleted ? `deleted ${name}\n` : `there is no counter ${name}\n`;
      return { schema: 'aspen.counter.delete/v1', value: { name, ...result }, ids: [name], text: () => text };
    },
  });
  define(counter, io, exit, {
    usage: 'list [prefix]',
    summary: 'counters, by name',
    examples: ['aspen-agent counter list'],
    configure: (command) => void addPageFlags(command),
    run: listCounters,
  });
  const sequence = program.command('sequence').description('numbers that are handed out once each');
  define(sequence, io, exit, {
    usage: 'next <name>',
    summary: 'take the next number, or several',
    examples: ['aspen-agent sequence next invoice', 'aspen-agent sequence next invoice --count 10'],
    configure: (command) => command.option('--count <n>', 'numbers to take (default 1)', wholeNumber(1)),
    run: nextNumbers,
  });
}

function whole(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && text.trim() !== '') return value;
  throw wrongUsage(`"${text}" is not a whole number`);
}

function counterOutput(schema: string, name: string, counter: { readonly value: number }): Output {
  return { schema, value: { name, ...counter }, ids: [name], text: () => `${counter.value}\n` };
}

async function swapCounter({ args: [name = ''], options, io, call }: CommandContext): Promise<Output> {
  const { expected, value } = options as { readonly expected: number; readonly value: number };
  const swap = await call('counter.cas', { name, expected, value });
  if (!swap.swapped) io.stderr.write(`aspen-agent: not swapped: it is ${swap.value}\n`);
  return {
    ...counterOutput('aspen.counter.cas/v1', name, swap),
    exitCode: swap.swapped ? 0 : EXIT_CONFLICT,
  };
}

async function listCounters({ args, options, call, tell }: CommandContext): Promise<Output> {
  const page = await call('counter.list', pageOf(args, options));
  if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
  return {
    schema: 'aspen.counter.list/v1',
    value: page,
    items: 'items',
    ids: page.items.map(({ name }) => name),
    text: () =>
      formatTable(
        ['name', 'value'],
        page.items.map(({ name, value }) => [name, `${value}`]),
      ),
  };
}

async function nextNumbers({ args: [name = ''], options, call }: CommandContext): Promise<Output> {
  const count = (options['count'] as number | undefined) ?? 1;
  const range = await call('sequence.next', { name, count });
  const { first, last } = range;
  return {
    schema: 'aspen.sequence.next/v1',
    value: { name, ...range },
    ids: [`${first}`],
    text: () => (first === last ? `${first}\n` : `${first} to ${last}\n`),
  };
}
