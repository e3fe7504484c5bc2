import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { ParamsInput, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { keyValues } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { withoutMark } from '../json-text.ts';
import type { Output } from '../output.ts';
import { formatFields, formatTable, formatWhen } from '../table.ts';

type Hook = Result<'hook.get'>;
type HookEvent = ParamsInput<'hook.add'>['on'][number];

const EVENTS: readonly HookEvent[] = ['job.succeeded', 'job.dead', 'job.cancelled', 'job.skipped'];

/** `hook add|list|get|remove|test|pause|resume`. */
export function addHookCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const hook = program.command('hook').description('webhooks: URLs that are told of jobs that end');
  define(hook, io, exit, {
    usage: 'add',
    summary: 'tell a URL of jobs that end, at least once each',
    examples: [
      'aspen-agent hook add --on job.dead --url https://example.org/aspen --secret-file secret.txt',
      'aspen-agent hook add --on job.dead,job.succeeded --type render --label team=web --url https://example.org/in',
    ],
    configure: (command) =>
      command
        .requiredOption('--on <events>', `which ends: ${EVENTS.join(',')}`, events)
        .requiredOption('--url <url>', 'what is told, by POST')
        .option('--type <type>', 'only jobs of this type')
        .option('--queue <queue>', 'only jobs of this queue')
        .option('--label <k=v>', 'only jobs with this label (repeatable)', keyValues)
        .option('--secret-file <file>', 'its first line signs what is sent; 16 characters at least')
        .option('--secret <name>', 'the secret of that name signs what is sent (aspen-agent secret list)'),
    run: addHook,
  });
  define(hook, io, exit, {
    usage: 'list',
    summary: 'hooks: what waits, what arrived, whether the receiver answers',
    examples: ['aspen-agent hook list', 'aspen-agent hook list -o json'],
    run: async ({ call }) => {
      const listed = await call('hook.list', {});
      return {
        schema: 'aspen.hook.list/v1',
        value: listed,
        items: 'hooks',
        ids: listed.hooks.map(({ id }) => id),
        text: () => hooksTable(listed.hooks),
      };
    },
  });
  define(hook, io, exit, {
    usage: 'get <id>',
    summary: 'one hook, with the latest failure of its receiver',
    examples: ['aspen-agent hook get hook_01k9', 'aspen-agent hook get last'],
    run: async ({ args: [id = ''], call }) => hookOutput('get', await call('hook.get', { id })),
  });
  define(hook, io, exit, {
    usage: 'remove <id>',
    summary: 'remove a hook; deliveries that wait are cancelled',
    examples: ['aspen-agent hook remove hook_01k9'],
    run: async ({ args: [id = ''], call }) => {
      const removed = await call('hook.remove', { id });
      return {
        schema: 'aspen.hook.remove/v1',
        value: removed,
        ids: [removed.id],
        text: () => `${removed.id} removed, ${removed.cancelled} deliveries cancelled\n`,
      };
    },
  });
  define(hook, io, exit, {
    usage: 'test <id>',
    summary: 'send an event of type hook.test; its delivery is a job to follow',
    examples: ['aspen-agent job wait $(aspen-agent hook test last -o id)'],
    run: async ({ args: [id = ''], call }) => {
      const sent = await call('hook.test', { id });
      return {
        schema: 'aspen.hook.test/v1',
        value: sent,
        ids: [sent.job],
        text: () => `${sent.job} delivers a test to ${sent.id}\n`,
      };
    },
  });
  define(hook, io, exit, {
    usage: 'pause <id>',
    summary: 'let the deliveries of a hook wait',
    examples: ['aspen-agent hook pause hook_01k9 --reason "the receiver moves"'],
    configure: (command) => command.option('--reason <text>', 'shown by hook list'),
    run: async ({ args: [id = ''], options, call }) => {
      const reason = options['reason'] as string | undefined;
      return hookOutput('pause', await call('hook.pause', { id, ...(reason !== undefined && { reason }) }));
    },
  });
  define(hook, io, exit, {
    usage: 'resume <id>',
    summary: 'let the deliveries of a hook go on; a receiver that was given up is tried at once',
    examples: ['aspen-agent hook resume hook_01k9'],
    run: async ({ args: [id = ''], call }) => hookOutput('resume', await call('hook.resume', { id })),
  });
}

/** For commander. */
function events(text: string): readonly HookEvent[] {
  const named = text.split(',').filter((name) => name !== '');
  const unknown = named.find((name) => !EVENTS.includes(name as HookEvent));
  if (unknown !== undefined || named.length === 0)
    throw new InvalidArgumentError(`"${unknown ?? text}" is no event; known are ${EVENTS.join(', ')}`);
  return named as readonly HookEvent[];
}

async function addHook({ options, call, tell }: CommandContext): Promise<Output> {
  const { on, url, type, queue, label } = options as {
    readonly on: HookEvent[];
    readonly url: string;
    readonly type?: string;
    readonly queue?: string;
    readonly label?: Record<string, string>;
  };
  const secret = await secretOf(options);
  const added = await call('hook.add', {
    on,
    url,
    ...(type !== undefined && { type }),
    ...(queue !== undefined && { queue }),
    ...(label !== undefined && { labels: label }),
    ...(secret !== undefined && { secret }),
  });
  if (secret === undefined)
    tell('deliveries are not signed; --secret-file or --secret lets the receiver tell who sends');
  return hookOutput('add', added);
}

async function secretOf({ secret, secretFile }: CommandContext['options']): Promise<string | undefined> {
  if (secret === undefined) return secretFile === undefined ? undefined : readSecret(secretFile as string);
  if (secretFile === undefined) return `secret://${secret}`;
  throw wrongUsage('--secret names a secret there is, --secret-file brings one: give one of them');
}

async function readSecret(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw wrongUsage(`--secret-file ${path}: ${(error as Error).message}`);
  }
  const [secret = ''] = withoutMark(text).split(/\r?\n/);
  if (secret.length < 16)
    throw wrongUsage(`--secret-file ${path}: its first line has less than 16 characters`);
  return secret;
}

function hooksTable(hooks: readonly Hook[]): string {
  return formatTable(
    ['hook', 'on', 'url', 'state', 'waiting', 'running', 'delivered', 'dead', 'dropped'],
    hooks.map((hook) => [
      hook.id,
      hook.on.join(','),
      hook.url,
      stateOf(hook),
      ...[hook.waiting, hook.running, hook.delivered, hook.dead, hook.dropped].map(String),
    ]),
  );
}

function stateOf({ paused, pauseReason, circuit, retryInMs }: Hook): string {
  if (paused) return `paused${pauseReason === null ? '' : `: ${pauseReason}`}`;
  if (circuit === 'closed') return 'ok';
  return retryInMs === null ? circuit : `${circuit}, next probe in ${formatDuration(Math.ceil(retryInMs))}`;
}

function hookOutput(verb: string, hook: Hook): Output {
  return { schema: `aspen.hook.${verb}/v1`, value: hook, ids: [hook.id], text: () => hookFields(hook) };
}

function hookFields(hook: Hook): string {
  const labels = Object.entries(hook.labels).map((entry) => entry.join('='));
  return formatFields([
    ['hook', hook.id],
    ['url', hook.url],
    ['on', hook.on.join(', ')],
    ['type', hook.type ?? 'all'],
    ['queue', hook.queue ?? 'all'],
    ['labels', labels.length === 0 ? '-' : labels.join(' ')],
    ['signed', hook.secretName === null ? 'no' : `with secret ${hook.secretName}`],
    ['state', stateOf(hook)],
    ['failures', `${hook.failures} in a row`],
    [
      'last error',
      hook.lastError === null
        ? '-'
        : `${hook.lastError.message} (${formatWhen(hook.lastError.at, Date.now(), formatDuration)})`,
    ],
    ['waiting', `${hook.waiting}, ${hook.running} running`],
    ['delivered', `${hook.delivered}, ${hook.dead} dead, ${hook.dropped} dropped`],
  ]);
}
