import { type Command, Option } from 'commander';
import { AspenError, FIRST_SHARED_ATTEMPT } from '../../base/index.ts';
import { type Job, resultOfLatest } from '../../rpc/index.ts';
import { endedWithConnection } from '../../sdk/index.ts';
import { Cancellation } from '../cancellation.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { type Copied, copyLogs, NOTHING_COPIED } from '../copy-logs.ts';
import { duration, keyValues, size, wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { specsOfArray, submitMany, submittedManyOutput } from '../job-array.ts';
import { JobNotes } from '../job-notes.ts';
import { jobOutput, jobsOutput } from '../job-output.ts';
import type { Output } from '../output.ts';
import { addSpecFlags, readStdinFrom, specFromFlags } from '../spec-flags.ts';
import { throughRestarts } from '../through-restarts.ts';
import { submittedOutput, waitUntilFinal } from './job.ts';

const SANDBOXES = ['none', 'bwrap'];

/** `run -- PROGRAM ARG...`: a shell job that feels like a local program. */
export function addRunCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'run <program...>',
    summary: 'run a program somewhere in the mesh, with its output and exit code here',
    examples: [
      'aspen-agent run -- hostname',
      'aspen-agent run --sandbox bwrap --memory 512MiB --pids 50 -- make test',
      `aspen-agent run --require zone=eu --timeout 5m --env COLOR=green -- sh -c 'echo $COLOR; exit 3'`,
    ],
    ownTimeout: true,
    configure: (command) => {
      command.passThroughOptions();
      addSpecFlags(command);
      command
        .option('--env <K=V>', 'environment variable of the program (repeatable)', keyValues)
        .option('--cwd <dir>', 'directory it runs in')
        .option('--stdin <file>', 'what it reads; "-" is the standard input of this command')
        .addOption(
          new Option('--sandbox <layer>', 'what it runs in; only nodes that have it are asked').choices(
            SANDBOXES,
          ),
        )
        .option('--network', 'it may use the network from within its sandbox')
        .option('--memory <size>', 'most memory of it, such as 512MiB', size)
        .option('--cpu <duration>', 'most processor time of it, in whole seconds', duration)
        .option('--pids <n>', 'most processes of it', wholeNumber(1))
        .option('--file-size <size>', 'largest file that it may write', size)
        .option('--limits-required', 'only on nodes that can hold it to these limits')
        .option('--detach', 'print the id of the job and end');
    },
    run: runProgram,
  });
}

async function runProgram(context: CommandContext): Promise<Output | number> {
  const { options, flags, call } = context;
  const given = await specFromFlags(context);
  const spec = {
    ...given,
    type: 'shell',
    retry: { maxAttempts: 1, ...given.retry },
    payload: await shellPayload(context),
  };
  if (options['array'] !== undefined) return runArray(context, spec, options['array'] as readonly number[]);
  const submitted = await call('job.submit', spec);
  if (options['detach'] === true) return submittedOutput(submitted);
  using cancellation = new Cancellation(context, [submitted.id]);
  if (flags.isForPrograms) {
    const job = await finalJob(context, submitted.id);
    return { ...jobOutput('aspen.job.run/v1', job), exitCode: cancellation.exitCodeOf(job) };
  }
  using notes = new JobNotes(context, submitted.id);
  const copied = await followOutput(context, submitted.id, notes);
  const job = await finalJob(context, submitted.id);
  await notes.tellOf(job);
  showWhatWasNotStreamed(context, job, copied);
  reportEnd(context, job);
  return cancellation.exitCodeOf(job);
}

/** Ends when all of them have, with the exit code of the first that failed. Their output is kept with each job. */
async function runArray(
  context: CommandContext,
  spec: Readonly<Record<string, unknown>>,
  indexes: readonly number[],
): Promise<Output> {
  const submitted = await submitMany(context, specsOfArray(spec, indexes));
  const output = submittedManyOutput(context, submitted);
  if (context.options['detach'] === true || output.exitCode !== undefined) return output;
  using cancellation = new Cancellation(context, output.ids);
  const jobs: Job[] = [];
  for (const id of output.ids) jobs.push(await finalJob(context, id));
  const exitCode = jobs.map((job) => cancellation.exitCodeOf(job)).find((code) => code !== 0) ?? 0;
  return { ...jobsOutput({ jobs }), schema: 'aspen.job.run/v1', exitCode };
}

async function shellPayload(context: CommandContext) {
  const { args, options } = context;
  const [command = '', ...rest] = args;
  const stdin = options['stdin'] as string | undefined;
  return {
    command,
    args: rest,
    ...(options['env'] === undefined ? {} : { env: options['env'] as Record<string, string> }),
    ...(options['cwd'] === undefined ? {} : { cwd: options['cwd'] as string }),
    ...(stdin === undefined ? {} : await readStdinFrom(context, stdin)),
    ...(options['sandbox'] === undefined ? {} : { sandbox: options['sandbox'] as string }),
    ...(options['network'] === true ? { network: true } : {}),
    ...limitsOf(options),
  };
}

function limitsOf(options: CommandContext['options']): { limits?: Record<string, number | boolean> } {
  const cpuMs = options['cpu'] as number | undefined;
  const limits = {
    memoryBytes: options['memory'] as number | undefined,
    cpuSeconds: cpuMs === undefined ? undefined : Math.ceil(cpuMs / 1_000),
    pids: options['pids'] as number | undefined,
    fileBytes: options['fileSize'] as number | undefined,
    required: options['limitsRequired'] === true ? true : undefined,
  };
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return given.length === 0 ? {} : { limits: Object.fromEntries(given) as Record<string, number | boolean> };
}

/** The error of a program that ended by itself. */
const OWN_EXIT = 'EXIT_CODE';

/**
 * The output goes on from where it was when the agent went away and came back. It may end early, when the node that runs the job is lost;
 * what became of the job is then still to be told.
 */
async function followOutput(context: CommandContext, id: string, notes: JobNotes): Promise<Copied> {
  const copied = { ...NOTHING_COPIED };
  const beforeAttempt = () => notes.refresh();
  for (;;) {
    try {
      await copyLogs(context, id, { follow: true, fromOffset: copied.end }, { copied, beforeAttempt });
      return copied;
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      context.tell(`aspen-agent: ${error.message}`);
      if (!endedWithConnection(error)) return copied;
    }
    await throughRestarts(context, id, async () => (await context.connect()).get(id));
  }
}

async function finalJob(context: CommandContext, id: string): Promise<Job> {
  const client = await context.connect();
  const wait = (timeoutMs: number) => client.wait(id, { timeoutMs });
  return await throughRestarts(context, id, () => waitUntilFinal(wait, undefined));
}

/** The record keeps head and tail of the latest attempt's output: shown where nothing of that came over the stream. */
function showWhatWasNotStreamed({ io }: CommandContext, job: Job, copied: Copied): void {
  const isOfLatest = copied.attempt === Math.min(job.attempt, FIRST_SHARED_ATTEMPT);
  const kept = (resultOfLatest(job) ?? {}) as Readonly<Record<string, unknown>>;
  for (const stream of ['stdout', 'stderr'] as const) {
    const text = kept[stream];
    if (!(isOfLatest && copied[stream] > 0) && typeof text === 'string') io[stream].write(text);
  }
}

function reportEnd({ io, tell }: CommandContext, job: Job): void {
  const isOwnExit = job.error?.code === OWN_EXIT; // all else is the node's word: a limit, a refusal, nothing to start
  if (job.state === 'cancelled') tell(`aspen-agent: ${job.id} was cancelled`);
  else if (job.error !== null && !isOwnExit) {
    io.stderr.write(`aspen-agent: ${job.id} ${job.state}: ${job.error.message}\n`);
  }
}
