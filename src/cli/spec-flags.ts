import { isUtf8 } from 'node:buffer';
import { type Command, Option } from 'commander';
import type { JobSpec, ParamsInput } from '../rpc/index.ts';
import type { CommandContext } from './command.ts';
import { wrongUsage } from './failure.ts';
import { findJobId, findPeerId } from './find.ts';
import { findBlobId } from './find-blob.ts';
import { demands, duration, instant, keyValues, repeated, wholeNumber } from './flags.ts';
import { arrayRange } from './job-array.ts';

const PRIORITY_NAMES = ['low', 'normal', 'high', 'critical'] as const;

/** Flags of `run` and `job submit` that become keys of the job spec. */
export function addSpecFlags(command: Command): void {
  command
    .option('--node <peer>', 'run on this node: peer id, unique prefix of it, or name')
    .option('--prefer-node <peer>', 'rather on this node, which is waited for a while')
    .option('--wait-for-preferred <duration>', 'how long (default 2s)', duration)
    .option('--require <demand>', 'only on nodes with this label: k=v, k!=v, k>=8 ... (repeatable)', demands)
    .option('--prefer <demand>', 'rather on nodes with this label (repeatable)', demands)
    .option('--avoid <demand>', 'not on nodes with this label, or node=PEER (repeatable)', demands)
    .option('--key <key>', 'jobs of one key meet on one node')
    .option('--near <peer>', 'on a node with a short round trip to this one')
    .option('--data <blob>', 'rather on a node that holds this blob (repeatable)', repeated)
    .addOption(
      new Option('--strategy <name>', 'how equal nodes are chosen').choices([
        'least-loaded',
        'round-robin',
        'spread',
      ]),
    )
    .option('--nodes <n>', 'run on so many nodes at once, all or none', wholeNumber(2))
    .option('--priority <p>', '1 to 10, or low, normal, high, critical', priority)
    .option('--queue <name>', 'the queue it waits in')
    .option('--concurrency-key <key>', 'jobs of one key share the limit of their queue for each key')
    .option('--namespace <name>', 'the namespace it counts to')
    .option('--timeout <duration>', 'longest time of one attempt', duration)
    .option('--queue-timeout <duration>', 'longest wait for a node', duration)
    .option(
      '--heartbeat-timeout <duration>',
      'longest silence of an attempt: no output, no progress',
      duration,
    )
    .option('--deadline <instant>', 'by when all of it must be over: ISO 8601 with a zone', instant)
    .option(
      '--depends-on <id[:on]>',
      'a job that ends first; on is success, failure or any (repeatable)',
      repeated,
    )
    .addOption(
      new Option(
        '--on-dependency-failure <policy>',
        'what becomes of it when one of those does not end so',
      ).choices(['fail', 'skip', 'continue', 'block']),
    )
    .option('--array <from-to>', 'one job for each index, which it finds in ASPEN_ARRAY_INDEX', arrayRange)
    .option('--retry <n>', 'attempts in all', wholeNumber(1))
    .option(
      '--max-losses <n>',
      'how often it is begun again after its node was lost (default 5); 0 for at most once',
      wholeNumber(0),
    )
    .option('--delay <duration>', 'run no earlier than this from now', duration)
    .option('--run-at <instant>', 'run no earlier than this: ISO 8601 with a zone', instant)
    .option(
      '--hold <duration>',
      'how long an attempt survives the loss of its node (or "auto", "keep")',
      hold,
    )
    .option('--label <k=v>', 'label of the job (repeatable)', keyValues)
    .option('--id <id>', 'id of the job, "job_..."; the same id is the same job')
    .option('--idempotency-key <key>', 'the same key is the same job')
    .option('--retention <duration>', 'how long its record is kept after its end', duration)
    .option('--require-mesh', 'refuse rather than keep it on this node only')
    .option('--request-id <id>', 'the same id has its effect once');
}

function priority(text: string): JobSpec['priority'] {
  const name = PRIORITY_NAMES.find((candidate) => candidate === text);
  return name ?? wholeNumber(1)(text);
}

function hold(text: string): JobSpec['offline'] {
  if (text === 'keep') return 'keep';
  return { holdMs: text === 'auto' ? 'auto' : duration(text) };
}

type SpecWithoutType = Omit<ParamsInput<'job.submit'>, 'type' | 'payload'>;

/** @returns the keys of the spec that flags were given for. Names of nodes become peer ids. */
export async function specFromFlags(context: CommandContext): Promise<SpecWithoutType> {
  const { options } = context;
  const affinity = await affinityFromFlags(context);
  return withoutUndefined({
    id: options['id'],
    idempotencyKey: options['idempotencyKey'],
    queue: options['queue'],
    concurrencyKey: options['concurrencyKey'],
    namespace: options['namespace'],
    priority: options['priority'],
    timeoutMs: options['timeout'],
    queueTimeoutMs: options['queueTimeout'],
    heartbeatTimeoutMs: options['heartbeatTimeout'],
    deadlineAt: options['deadline'],
    dependsOn: await dependenciesFromFlags(context),
    onDependencyFailure: options['onDependencyFailure'],
    retry: retryFromFlags(options),
    delayMs: options['delay'],
    runAt: options['runAt'],
    offline: options['hold'],
    labels: options['label'],
    retentionMs: options['retention'],
    requireMesh: options['requireMesh'],
    requestId: options['requestId'],
    group: options['nodes'] === undefined ? undefined : { nodes: options['nodes'] },
    affinity,
  }) as SpecWithoutType;
}

function retryFromFlags(options: CommandContext['options']): Record<string, unknown> | undefined {
  const retry = withoutUndefined({ maxAttempts: options['retry'], maxLosses: options['maxLosses'] });
  return Object.keys(retry).length === 0 ? undefined : retry;
}

const DEPENDENCY_ON = ['success', 'failure', 'any'] as const;

async function dependenciesFromFlags(context: CommandContext): Promise<JobSpec['dependsOn']> {
  const given = context.options['dependsOn'] as readonly string[] | undefined;
  if (given === undefined) return undefined;
  return await Promise.all(
    given.map(async (text) => {
      const [name = '', on = 'success', ...more] = text.split(':');
      const known = DEPENDENCY_ON.find((candidate) => candidate === on);
      if (known === undefined || more.length > 0) {
        throw wrongUsage(`--depends-on ${text}: after the id comes one of ${DEPENDENCY_ON.join(', ')}`);
      }
      return { id: await findJobId(context, name), on: known };
    }),
  );
}

async function affinityFromFlags(context: CommandContext): Promise<JobSpec['affinity']> {
  const { options } = context;
  const near = options['near'] as string | undefined;
  const avoid = options['avoid'] as Readonly<Record<string, string>> | undefined;
  const avoided = avoid?.['node'];
  const affinity = withoutUndefined({
    node: await nodeFromFlags(context),
    require: options['require'],
    prefer: options['prefer'],
    avoid: avoided === undefined ? avoid : { ...avoid, node: await findPeerId(context, avoided) },
    key: options['key'],
    near: near === undefined ? undefined : await findPeerId(context, near),
    data: await dataFromFlags(context),
    waitMs: options['waitForPreferred'],
    strategy: options['strategy'],
  });
  return Object.keys(affinity).length === 0 ? undefined : (affinity as JobSpec['affinity']);
}

async function dataFromFlags(context: CommandContext): Promise<string[] | undefined> {
  const named = context.options['data'] as readonly string[] | undefined;
  return named && Promise.all(named.map((name) => findBlobId(context, name)));
}

async function nodeFromFlags(context: CommandContext): Promise<NonNullable<JobSpec['affinity']>['node']> {
  const required = context.options['node'] as string | undefined;
  const preferred = context.options['preferNode'] as string | undefined;
  if (required !== undefined && preferred !== undefined)
    throw wrongUsage('--node and --prefer-node: one of them, not both');
  const name = required ?? preferred;
  if (name === undefined) return undefined;
  return { peerId: await findPeerId(context, name), mode: required === undefined ? 'prefer' : 'require' };
}

function withoutUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Standard input of a job travels in its spec. Unit: bytes. */
const STDIN_BYTES_LIMIT = 8 * 2 ** 20;

/** @param file a path, or `-` for standard input. @returns what a shell payload says of it: a text, or bytes that are none. */
export async function readStdinFrom(
  context: CommandContext,
  file: string,
): Promise<{ readonly stdin: string } | { readonly stdinBase64: string }> {
  const bytes = await readBytesFrom(context, file);
  return isUtf8(bytes) ? { stdin: bytes.toString('utf8') } : { stdinBase64: bytes.toString('base64') };
}

/** @param file as {@link readStdinFrom}. @returns its text. @throws AspenError as wrong usage when it is none. */
export async function readTextFrom(context: CommandContext, file: string): Promise<string> {
  const bytes = await readBytesFrom(context, file);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw wrongUsage(`${file === '-' ? 'standard input' : file} is not text: it is not UTF-8`);
}

async function readBytesFrom(context: CommandContext, file: string): Promise<Buffer> {
  if (file === '-') return readWhole(context.io.stdin, 'standard input');
  const { open } = await import('node:fs/promises');
  try {
    return await readWhole((await open(file)).createReadStream(), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw wrongUsage(`cannot read ${file}: ${(error as Error).message}`);
  }
}

/** @throws AspenError as wrong usage when it is too long. */
async function readWhole(source: AsyncIterable<string | Uint8Array>, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let byteCount = 0;
  for await (const part of source) {
    parts.push(Buffer.from(part));
    byteCount += part.length;
    if (byteCount > STDIN_BYTES_LIMIT) {
      throw wrongUsage(`${what} is longer than ${STDIN_BYTES_LIMIT} bytes`);
    }
  }
  return Buffer.concat(parts);
}
