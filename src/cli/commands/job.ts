import { type Command, Option } from 'commander';
import { AspenError } from '../../base/index.ts';
import { type Job, jobStateSchema, type ParamsInput, type Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { copyLogs } from '../copy-logs.ts';
import { findJobId } from '../find.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { specsFromText, specsOfArray, submitMany, submittedManyOutput } from '../job-array.ts';
import { exitCodeOfJob } from '../job-exit.ts';
import { jobOutput, jobsOutput, resultOutput } from '../job-output.ts';
import { parseJson } from '../json-text.ts';
import type { Output } from '../output.ts';
import { showPiece } from '../piece.ts';
import { addSpecFlags, readTextFrom, specFromFlags } from '../spec-flags.ts';
import { formatFields, formatTable, printable } from '../table.ts';
import { throughRestarts } from '../through-restarts.ts';
import { whileWatching } from '../watching.ts';

const STATES = jobStateSchema.options;

/** Without `--timeout`, `job wait` waits as long as it takes. Unit: ms. */
const WAIT_ROUND_MS = 600_000;
/** Half a minute without a quorum, asking twice a second. */
const REFUSALS_LIMIT = 60;
const REFUSAL_PAUSE_MS = 500;

const MOVES = [
  ['retry', 'run a dead, cancelled or skipped job once more'],
  ['pause', 'keep a job that waits from going on'],
  ['resume', 'let a paused job go on where it stood'],
] as const;

/** `job submit|submit-file|get|list|wait|logs|cancel|retry|pause|resume|explain|result`. */
export function addJobCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const job = program.command('job').description('jobs of the mesh');
  define(job, io, exit, {
    usage: 'submit <type> [payload]',
    summary: 'hand a job to the mesh; PAYLOAD is JSON, "-" reads it from standard input',
    examples: [
      `aspen-agent job submit echo '{"greeting":"hello"}'`,
      `aspen-agent job submit shell '{"command":"hostname"}' --require zone=eu --retry 3`,
    ],
    ownTimeout: true,
    configure: addSpecFlags,
    run: submitJob,
  });
  define(job, io, exit, {
    usage: 'submit-file <file>',
    summary: 'hand many jobs to the mesh: a JSON array of job specs, or one a line; "-" is standard input',
    examples: ['aspen-agent job submit-file jobs.jsonl', 'generate | aspen-agent job submit-file - -o id'],
    run: submitFile,
  });
  define(job, io, exit, {
    usage: 'get <id>',
    summary: 'one job (a unique prefix of its id is enough, "last" is the newest)',
    examples: ['aspen-agent job get last', 'aspen-agent job get job_01k9 -o json'],
    run: async (context) =>
      jobOutput('aspen.job.get/v1', await context.call('job.get', { id: await jobArgument(context) })),
  });
  define(job, io, exit, {
    usage: 'list',
    summary: 'jobs, newest first',
    examples: [
      'aspen-agent job list --state running',
      'aspen-agent job list --label team=web --limit 20 -o jsonl',
    ],
    configure: (command) =>
      command
        .addOption(
          new Option('--state <state>', 'only in this state; failed is to be tried again').choices(STATES),
        )
        .option('--type <type>', 'only of this type')
        .option('--queue <name>', 'only of this queue')
        .option('--namespace <name>', 'only of this namespace')
        .option('--label <k=v>', 'only with this label')
        .option('--limit <n>', 'at most so many (default 100)', wholeNumber(1))
        .option('--cursor <cursor>', 'go on where an earlier page ended'),
    run: listJobs,
  });
  define(job, io, exit, {
    usage: 'wait <id>',
    summary: 'wait until a job is final',
    examples: ['aspen-agent job wait last --timeout 5m', 'aspen-agent job wait last --propagate-exit'],
    configure: (command) => command.option('--propagate-exit', 'exit with the exit code of the job'),
    run: waitForJob,
  });
  define(job, io, exit, {
    usage: 'watch',
    summary: 'changes of jobs as they happen, until Ctrl-C; ends with an error when changes were missed',
    examples: ['aspen-agent job watch --queue mail', 'aspen-agent job watch --state dead -o jsonl'],
    configure: (command) =>
      command
        .addOption(new Option('--state <state>', 'only changes to this state').choices(STATES))
        .option('--id <id>', 'only of this job')
        .option('--type <type>', 'only of this type')
        .option('--queue <name>', 'only of this queue')
        .option('--namespace <name>', 'only of this namespace')
        .option('--label <k=v>', 'only with this label')
        .option('--cursor <cursor>', 'go on after this change, as -o json shows it'),
    run: watchJobs,
  });
  define(job, io, exit, {
    usage: 'logs <id>',
    summary: 'the output of a job, each stream to its own',
    examples: ['aspen-agent job logs last --follow'],
    configure: (command) =>
      command
        .option('-f, --follow', 'go on until the job is final')
        .option(
          '--from-offset <n>',
          'leave out so many bytes, or go on after what -o jsonl showed',
          wholeNumber(0),
        ),
    run: showLogs,
  });
  define(job, io, exit, {
    usage: 'cancel <id>',
    summary: 'end a job before it is final',
    examples: ['aspen-agent job cancel last --reason "wrong input"'],
    configure: (command) => command.option('--reason <text>', 'kept with the job'),
    run: cancelJob,
  });
  for (const [verb, summary] of MOVES) {
    define(job, io, exit, {
      usage: `${verb} <id>`,
      summary,
      examples: [`aspen-agent job ${verb} last`],
      run: async (context) =>
        jobOutput(
          `aspen.job.${verb}/v1`,
          await context.call(`job.${verb}`, { id: await jobArgument(context) }),
        ),
    });
  }
  define(job, io, exit, {
    usage: 'explain <id>',
    summary: 'why a job is not running: every node with what ruled it out',
    examples: ['aspen-agent job explain last'],
    run: async (context) => {
      const id = await jobArgument(context);
      return explainOutput(id, await context.call('job.explain', { id }));
    },
  });
  define(job, io, exit, {
    usage: 'result <id>',
    summary: 'what a final job left behind',
    examples: ['aspen-agent job result last -o json'],
    run: async (context) =>
      resultOutput(context.io, await context.call('job.get', { id: await jobArgument(context) })),
  });
}

function jobArgument(context: CommandContext): Promise<string> {
  return findJobId(context, context.args[0] as string);
}

async function submitJob(context: CommandContext): Promise<Output> {
  const [type = '', payloadText] = context.args;
  const text = payloadText === '-' ? await readTextFrom(context, '-') : payloadText;
  const payload =
    text === undefined
      ? {}
      : { payload: parseJson(text, 'the payload') as ParamsInput<'job.submit'>['payload'] };
  const spec = { ...(await specFromFlags(context)), type, ...payload };
  const indexes = context.options['array'] as readonly number[] | undefined;
  if (indexes === undefined) return submittedOutput(await context.call('job.submit', spec));
  return submittedManyOutput(context, await submitMany(context, specsOfArray(spec, indexes)));
}

async function submitFile(context: CommandContext): Promise<Output> {
  const specs = specsFromText(await readTextFrom(context, context.args[0] as string));
  if (specs.length === 0) context.tell('nothing was submitted: it holds no job');
  return submittedManyOutput(context, await submitMany(context, specs));
}

export function submittedOutput(submitted: Result<'job.submit'>): Output {
  return {
    schema: 'aspen.job.submit/v1',
    value: submitted,
    ids: [submitted.id],
    text: () => `${submitted.id}\n`,
  };
}

async function listJobs({ call, options, tell, flags }: CommandContext): Promise<Output> {
  const { state, type, queue, namespace, label, limit, cursor } = options as Readonly<Record<string, never>>;
  const filter = { state, type, queue, namespace, label, limit: limit ?? 100, cursor };
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  const listed = await call('job.list', given);
  if (listed.cursor !== undefined && !flags.isWhole)
    tell(`there is more; go on with --cursor ${listed.cursor}`);
  if (state === 'failed' && listed.jobs.length === 0 && listed.cursor === undefined)
    tell('no job waits to be tried again after a failure; those that failed for good: --state dead');
  return jobsOutput(listed);
}

async function watchJobs(context: CommandContext): Promise<number> {
  const { options, connect } = context;
  const { state, id, type, queue, namespace, label, cursor } = options as Readonly<Record<string, never>>;
  const given = Object.entries({ state, id, type, queue, namespace, label });
  const filter = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const client = await connect();
  const params = cursor === undefined ? { filter } : { filter, cursor };
  return whileWatching(context, 'jobs', async (signal) => {
    for await (const change of client.watchJobs(params, signal)) {
      const { before, errorCode } = change;
      const text = printable(
        `${change.id}  ${before ?? 'new'} -> ${change.state}${errorCode === null ? '' : `  ${errorCode}`}`,
      );
      await showPiece(context, 'aspen.job.watch/v1', { value: change, id: change.id, text });
    }
  });
}

async function waitForJob(context: CommandContext): Promise<Output> {
  const { flags, connect, options } = context;
  const id = await jobArgument(context);
  const client = await connect();
  const wait = () => waitUntilFinal((timeoutMs) => client.wait(id, { timeoutMs }), flags.timeoutMs);
  const job = flags.timeoutMs === undefined ? await throughRestarts(context, id, wait) : await wait();
  const output = jobOutput('aspen.job.wait/v1', job);
  return options['propagateExit'] === true ? { ...output, exitCode: exitCodeOfJob(job) } : output;
}

/**
 * Asks again, round by round, until the job is final. While the group chooses a leader, asking is refused for a moment: that is
 * no reason to leave a job alone.
 * @param timeoutMs for ever when undefined.
 */
export async function waitUntilFinal(
  wait: (timeoutMs: number) => Promise<Job>,
  timeoutMs: number | undefined,
): Promise<Job> {
  for (let refusals = 0; ; ) {
    try {
      return await wait(timeoutMs ?? WAIT_ROUND_MS);
    } catch (error) {
      const code = error instanceof AspenError ? error.code : undefined;
      if (timeoutMs !== undefined || (code !== 'DEADLINE_EXCEEDED' && code !== 'NO_QUORUM')) throw error;
      refusals = code === 'NO_QUORUM' ? refusals + 1 : 0;
      if (refusals > REFUSALS_LIMIT) throw error;
      if (refusals > 0) await new Promise((resolve) => setTimeout(resolve, REFUSAL_PAUSE_MS));
    }
  }
}

async function showLogs(context: CommandContext): Promise<number | undefined> {
  const { options } = context;
  const id = await jobArgument(context);
  const fromOffset = options['fromOffset'] as number | undefined;
  const from = fromOffset === undefined ? {} : { fromOffset };
  if (options['follow'] === true) {
    return whileWatching(context, `the output of ${id}`, (signal) =>
      copyLogs(context, id, { follow: true, signal, ...from }),
    );
  }
  await copyLogs(context, id, from);
  return undefined;
}

async function cancelJob(context: CommandContext): Promise<Output> {
  const id = await jobArgument(context);
  const reason = context.options['reason'] as string | undefined;
  const job = await context.call('job.cancel', reason === undefined ? { id } : { id, reason });
  return jobOutput('aspen.job.cancel/v1', job);
}

function explainOutput(id: string, explained: Result<'job.explain'>): Output {
  const { state, waitingFor, nodes } = explained;
  return {
    schema: 'aspen.job.explain/v1',
    value: { id, ...explained },
    items: 'nodes',
    ids: [id],
    text: () =>
      formatFields([
        ['job', id],
        ['state', state],
        ['waiting for', waitingFor ?? undefined],
      ]) +
      formatTable(
        ['node', 'fits', 'score', 'because'],
        nodes.map(({ peerId, pool, fits, isEligible, score, reasons, parts = [] }) => [
          pool === null || pool === undefined ? peerId : `${peerId} (worker ${pool})`,
          fits ? 'now' : isEligible === true ? 'later' : 'no',
          score === null || score === undefined ? '-' : score.toFixed(2),
          fits
            ? parts.map((part) => `${part.reason} (${part.score.toFixed(2)})`).join('; ')
            : reasons.join('; '),
        ]),
      ),
  };
}
