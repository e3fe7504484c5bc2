import { type Command, InvalidArgumentError } from 'commander';
import { exactSize, formatDuration } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { duration, size, wholeNumber } from '../flags.ts';
import { addPageFlags } from '../held-flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable } from '../table.ts';

type Queue = Result<'queue.list'>['queues'][number];
type Limits = Result<'queue.limitAll'>['limits'];

/** `queue list|pause|resume|limit|limit-type|limit-all` and `namespace list|limit`. */
export function addQueueCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const queue = program
    .command('queue')
    .description('queues: what waits and runs in them, pauses and limits');
  define(queue, io, exit, {
    usage: 'list [queue]',
    summary: 'queues by name: jobs by state, whether paused, limits',
    examples: ['aspen-agent queue list', 'aspen-agent queue list mail -o json'],
    configure: (command) => void addPageFlags(command),
    run: listQueues,
  });
  define(queue, io, exit, {
    usage: 'pause <queue>',
    summary: 'let nothing of a queue start; what runs goes on, what waits stays',
    examples: ['aspen-agent queue pause mail --reason "the provider is down"'],
    configure: (command) => command.option('--reason <text>', 'shown by queue list and job explain'),
    run: async ({ args: [name = ''], options, call }) => {
      const reason = options['reason'] as string | undefined;
      const paused = await call('queue.pause', { queue: name, ...(reason !== undefined && { reason }) });
      return queueOutput('aspen.queue.pause/v1', paused);
    },
  });
  define(queue, io, exit, {
    usage: 'resume <queue>',
    summary: 'let the jobs of a paused queue start again',
    examples: ['aspen-agent queue resume mail'],
    run: async ({ args: [name = ''], call }) =>
      queueOutput('aspen.queue.resume/v1', await call('queue.resume', { queue: name })),
  });
  define(queue, io, exit, {
    usage: 'limit <queue>',
    summary: 'bound what runs, starts, waits or is kept of a queue; "none" lifts a limit',
    examples: [
      'aspen-agent queue limit mail --concurrency 5 --per-key 1',
      'aspen-agent queue limit mail --rate 10 --burst 20 --max-waiting 100000',
      'aspen-agent queue limit mail --concurrency none',
    ],
    configure: (command) => {
      addRunFlags(command).option('--per-key <n>', 'attempts at one time of one concurrency key', count(1));
      addRateFlags(command);
      addKeepFlags(command);
    },
    run: async ({ args: [name = ''], options, call }) =>
      queueOutput('aspen.queue.limit/v1', await call('queue.limit', { queue: name, ...patchOf(options) })),
  });
  define(queue, io, exit, {
    usage: 'limit-type <type>',
    summary: 'bound how often jobs of a type start, over all queues',
    examples: ['aspen-agent queue limit-type geocode --rate 0.5'],
    configure: (command) => void addRateFlags(command),
    run: async ({ args: [type = ''], options, call }) => {
      const limited = await call('queue.limitType', { type, ...patchOf(options) });
      return limitsOutput('aspen.queue.limit-type/v1', type, limited);
    },
  });
  define(queue, io, exit, {
    usage: 'limit-all',
    summary: 'bound what waits and what is kept of all jobs together',
    examples: ['aspen-agent queue limit-all --max-waiting 500000 --keep 1000000 --keep-dead 30d'],
    configure: (command) => {
      command.option('--max-waiting <n>', 'jobs that may wait; a submit beyond it is refused', count(0));
      addKeepFlags(command);
    },
    run: async ({ options, call }) =>
      limitsOutput('aspen.queue.limit-all/v1', 'all', await call('queue.limitAll', patchOf(options))),
  });
  addNamespaceCommands(program, io, exit);
}

function addNamespaceCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const namespace = program.command('namespace').description('namespaces of jobs and their quotas');
  define(namespace, io, exit, {
    usage: 'list',
    summary: 'namespaces with jobs or quotas, and all jobs together',
    examples: ['aspen-agent namespace list'],
    run: listNamespaces,
  });
  define(namespace, io, exit, {
    usage: 'limit <namespace>',
    summary: 'set the quotas of a namespace; "none" lifts one',
    examples: ['aspen-agent namespace limit team-a --concurrency 50 --max-waiting 10000'],
    configure: (command) => void addRunFlags(command),
    run: async ({ args: [name = ''], options, call }) => {
      const limited = await call('namespace.limit', { namespace: name, ...patchOf(options) });
      return limitsOutput('aspen.namespace.limit/v1', name, limited);
    },
  });
}

function addRunFlags(command: Command): Command {
  return command
    .option('--concurrency <n>', 'attempts at one time', count(1))
    .option('--max-waiting <n>', 'jobs that may wait; a submit beyond it is refused', count(0));
}

function addRateFlags(command: Command): Command {
  return command
    .option('--rate <n>', 'starts per second, averaged over bursts', rate)
    .option('--burst <n>', 'starts at one moment after a quiet time', count(1));
}

function addKeepFlags(command: Command): Command {
  return command
    .option('--keep <n>', 'finished jobs that are kept, dead ones aside', count(0))
    .option('--keep-bytes <size>', 'bytes of finished jobs that are kept, such as 64MiB', keepBytes)
    .option('--keep-dead <duration>', 'least time that dead jobs are kept', keepDead);
}

/** Lifts a limit. */
const NONE = 'none';

/** For commander, which cannot keep null. */
function count(least: number): (text: string) => number | typeof NONE {
  return (text) => (text === NONE ? NONE : wholeNumber(least)(text));
}

function rate(text: string): number | typeof NONE {
  if (text === NONE) return NONE;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0 && text.trim() !== '') return value;
  throw new InvalidArgumentError(`"${text}" is no number above 0`);
}

function keepBytes(text: string): number | typeof NONE {
  return /^\d+$/.test(text) ? count(0)(text) : text === NONE ? NONE : size(text);
}

function keepDead(text: string): number | typeof NONE {
  return text === NONE ? NONE : duration(text);
}

const FIELD_OF_FLAG = {
  concurrency: 'concurrency',
  perKey: 'perKey',
  rate: 'ratePerSecond',
  burst: 'burst',
  maxWaiting: 'maxWaiting',
  keep: 'maxFinished',
  keepBytes: 'maxFinishedBytes',
  keepDead: 'deadRetentionMs',
} as const;

function patchOf(options: CommandContext['options']): Limits {
  const flags = Object.entries(FIELD_OF_FLAG).filter(([flag]) => options[flag] !== undefined);
  if (flags.length === 0) throw wrongUsage('name a limit to set, --help shows them');
  return Object.fromEntries(
    flags.map(([flag, field]) => [field, options[flag] === NONE ? null : options[flag]]),
  ) as Limits;
}

async function listQueues({ args: [queue], options, call, tell }: CommandContext): Promise<Output> {
  const { limit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
  const listed = await call('queue.list', {
    ...(queue !== undefined && { queue }),
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  });
  if (listed.cursor !== undefined) tell(`there is more; go on with --cursor ${listed.cursor}`);
  return {
    schema: 'aspen.queue.list/v1',
    value: listed,
    items: 'queues',
    ids: listed.queues.map((one) => one.queue),
    text: (isWide) => queuesTable(listed.queues, isWide),
  };
}

async function listNamespaces({ call }: CommandContext): Promise<Output> {
  const listed = await call('namespace.list', {});
  const rows = [...listed.namespaces, { namespace: '(all)', ...listed.all }];
  return {
    schema: 'aspen.namespace.list/v1',
    value: listed,
    items: 'namespaces',
    ids: listed.namespaces.map(({ namespace }) => namespace),
    text: () =>
      formatTable(
        ['namespace', 'waiting', 'running', 'limits'],
        rows.map((row) => [row.namespace, `${row.waiting}`, `${row.running}`, told(row.limits)]),
      ) + typesTable(listed.types),
  };
}

function typesTable(types: Result<'namespace.list'>['types']): string {
  if (types.length === 0) return '';
  const rows = types.map(({ type, limits }) => [type, told(limits)]);
  return `\n${formatTable(['type', 'limits'], rows)}`;
}

function queueOutput(schema: string, queue: Queue): Output {
  return { schema, value: queue, ids: [queue.queue], text: (isWide) => queuesTable([queue], isWide) };
}

function queuesTable(queues: readonly Queue[], isWide: boolean): string {
  return formatTable(
    ['queue', 'state', 'waiting', 'running', 'dead', 'limits', ...(isWide ? ['jobs'] : [])],
    queues.map(({ queue, paused, pauseReason, waiting, running, states, limits }) => [
      queue,
      paused ? `paused${pauseReason === null ? '' : `: ${pauseReason}`}` : 'open',
      `${waiting}`,
      `${running}`,
      `${states['dead'] ?? 0}`,
      told(limits),
      ...(isWide
        ? [
            Object.entries(states)
              .map((entry) => entry.join(' '))
              .join(', ') || '-',
          ]
        : []),
    ]),
  );
}

function limitsOutput(schema: string, name: string, value: { readonly limits: Limits }): Output {
  return { schema, value, ids: [name], text: () => `${name}  ${told(value.limits)}\n` };
}

const TOLD: readonly (readonly [field: keyof Limits, tell: (value: number) => string])[] = [
  ['concurrency', (value) => `${value} at once`],
  ['perKey', (value) => `${value} a key`],
  ['ratePerSecond', (value) => `${value} a second`],
  ['burst', (value) => `bursts of ${value}`],
  ['maxWaiting', (value) => `${value} may wait`],
  ['maxFinished', (value) => `${value} kept`],
  ['maxFinishedBytes', (value) => `${exactSize(value)} kept`],
  ['deadRetentionMs', (value) => `dead kept ${formatDuration(value)}`],
];

function told(limits: Limits): string {
  const parts = TOLD.flatMap(([field, tell]) => {
    const value = limits[field];
    return value === null || value === undefined ? [] : [tell(value)];
  });
  return parts.length === 0 ? '-' : parts.join(', ');
}
