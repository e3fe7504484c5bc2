import type { Command } from 'commander';
import { ERROR_KINDS, formatDuration } from '../../base/index.ts';
import type { ParamsInput, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { findJobId } from '../find.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { jobOutput } from '../job-output.ts';
import type { Output } from '../output.ts';
import { formatTable, formatWhen } from '../table.ts';

const EXIT_CONFLICT = ERROR_KINDS.CONFLICT.exitCode;
/** Dead jobs that one request moves at most. */
const STEP = 1_000;

/** `dlq list|inspect|redrive|purge`. */
export function addDlqCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const dlq = program.command('dlq').description('dead jobs: those that failed for good');
  define(dlq, io, exit, {
    usage: 'list',
    summary: 'dead jobs, the latest first',
    examples: ['aspen-agent dlq list', 'aspen-agent dlq list --reason TIMEOUT --queue mail -o jsonl'],
    configure: (command) =>
      addFilterFlags(command)
        .option('--limit <n>', 'at most so many (default 100)', wholeNumber(1))
        .option('--cursor <cursor>', 'go on where an earlier page ended'),
    run: listDead,
  });
  define(dlq, io, exit, {
    usage: 'inspect <id>',
    summary: 'a dead job with the history of its attempts',
    examples: ['aspen-agent dlq inspect job_01k9 -o json'],
    run: async (context) => {
      const id = await findJobId(context, context.args[0] as string);
      const output = jobOutput('aspen.dlq.inspect/v1', await context.call('dlq.inspect', { id }));
      return { ...output, text: () => output.text(true) };
    },
  });
  define(dlq, io, exit, {
    usage: 'redrive [id]',
    summary: 'let dead jobs run once more, with their history; exit code 4 when one could not',
    examples: [
      'aspen-agent dlq redrive job_01k9',
      'aspen-agent dlq redrive --queue mail --reason TIMEOUT --limit 500',
      'aspen-agent dlq redrive --all',
    ],
    configure: (command) => void addMoveFlags(command),
    run: redrive,
  });
  define(dlq, io, exit, {
    usage: 'purge [id]',
    summary: 'remove dead jobs for good',
    examples: ['aspen-agent dlq purge job_01k9', 'aspen-agent dlq purge --type geocode'],
    configure: (command) => void addMoveFlags(command),
    run: purge,
  });
}

function addFilterFlags(command: Command): Command {
  return command
    .option('--queue <name>', 'only of this queue')
    .option('--type <type>', 'only of this type')
    .option('--reason <code>', 'only those that ended with this error code');
}

function addMoveFlags(command: Command): Command {
  return addFilterFlags(command)
    .option('--all', 'every dead job')
    .option('--limit <n>', 'at most so many, the first dead first', wholeNumber(1));
}

type Filter = NonNullable<ParamsInput<'dlq.redrive'>['filter']>;

function filterOf(options: CommandContext['options']): Filter {
  const { queue, type, reason } = options as Filter;
  const given = Object.entries({ queue, type, reason }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Filter;
}

async function listDead({ options, call, tell, flags }: CommandContext): Promise<Output> {
  const { limit = 100, cursor } = options as { readonly limit?: number; readonly cursor?: string };
  const page = { limit: Math.min(limit, STEP), ...(cursor !== undefined && { cursor }) };
  const listed = await call('dlq.list', { ...filterOf(options), ...page });
  if (listed.cursor !== undefined && !flags.isWhole)
    tell(`there is more; go on with --cursor ${listed.cursor}`);
  return {
    schema: 'aspen.dlq.list/v1',
    value: listed,
    items: 'jobs',
    ids: listed.jobs.map(({ id }) => id),
    text: (isWide) => deadTable(listed.jobs, isWide),
  };
}

function deadTable(jobs: Result<'dlq.list'>['jobs'], isWide: boolean): string {
  const nowMs = Date.now();
  return formatTable(
    ['id', 'type', 'queue', 'attempts', 'died', 'reason', ...(isWide ? ['node', 'message'] : [])],
    jobs.map(({ id, type, queue, attempts, diedAt, node, error }) => [
      id,
      type,
      queue,
      `${attempts}`,
      formatWhen(diedAt, nowMs, formatDuration),
      error?.code ?? '-',
      ...(isWide ? [node ?? '-', error?.message ?? '-'] : []),
    ]),
  );
}

async function redrive(context: CommandContext): Promise<Output> {
  const redriven: string[] = [];
  const refused: Result<'dlq.redrive'>['refused'] = [];
  await inSteps(context, async (params) => {
    const step = await context.call('dlq.redrive', params);
    redriven.push(...step.redriven);
    refused.push(...step.refused);
    return { ...step, moved: redriven.length };
  });
  for (const { id, error } of refused) context.io.stderr.write(`aspen-agent: ${id}: ${error.message}\n`);
  return {
    schema: 'aspen.dlq.redrive/v1',
    value: { redriven, refused },
    ids: redriven,
    text: () => `${countOf(redriven.length)} will run once more\n`,
    exitCode: refused.length === 0 ? 0 : EXIT_CONFLICT,
  };
}

async function purge(context: CommandContext): Promise<Output> {
  const purged: string[] = [];
  await inSteps(context, async (params) => {
    const step = await context.call('dlq.purge', params);
    purged.push(...step.purged);
    return { ...step, moved: purged.length };
  });
  return {
    schema: 'aspen.dlq.purge/v1',
    value: { purged },
    ids: purged,
    text: () => `${countOf(purged.length)} removed\n`,
  };
}

/** Asks for what the user named, until all of it was looked at, or as many were moved as asked for. @param ask tells how many were moved so far. */
async function inSteps(
  context: CommandContext,
  ask: (params: ParamsInput<'dlq.redrive'>) => Promise<Step>,
): Promise<void> {
  const [name] = context.args;
  const filter = filterOf(context.options);
  const { all, limit = Number.POSITIVE_INFINITY } = context.options as { all?: true; limit?: number };
  const isFiltered = Object.keys(filter).length > 0;
  if (name !== undefined && (isFiltered || all === true))
    throw wrongUsage('give an id or a filter, not both');
  if (name === undefined && !isFiltered && all !== true)
    throw wrongUsage('give an id, a filter (--queue, --type, --reason), or --all');
  if (name !== undefined) {
    await ask({ id: await findJobId(context, name) });
    return;
  }
  let step: Step = { isMore: true, moved: 0 };
  while (step.isMore && step.moved < limit) {
    const { cursor } = step;
    step = await ask({
      filter,
      limit: Math.min(STEP, limit - step.moved),
      ...(cursor !== undefined && { cursor }),
    });
  }
}

interface Step {
  readonly isMore: boolean;
  readonly cursor?: string | undefined;
  readonly moved: number;
}

function countOf(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`;
}
