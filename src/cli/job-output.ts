import { AspenError, formatDuration } from '../base/index.ts';
import type { Job, Result } from '../rpc/index.ts';
import type { CliIo } from './io.ts';
import type { Output } from './output.ts';
import { formatFields, formatTable, formatWhen } from './table.ts';

const FINAL = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

export function jobOutput(schema: string, job: Job): Output {
  return { schema, value: job, ids: [job.id], text: (isWide) => describeJob(job, isWide) };
}

function describeJob(job: Job, isWide: boolean): string {
  const nowMs = Date.now();
  const fields = formatFields([
    ['job', job.id],
    ['type', String(job.spec['type'])],
    ['state', job.state],
    ['attempt', `${job.attempt}`],
    ['node', job.node ?? undefined],
    ['submitted', formatWhen(job.submittedAt, nowMs, formatDuration)],
    ['started', formatWhen(job.startedAt, nowMs, formatDuration)],
    ['finished', formatWhen(job.finishedAt, nowMs, formatDuration)],
    ['took', tookOf(job)],
    ['result', job.result === null || job.result === undefined ? undefined : JSON.stringify(job.result)],
    ['error', job.error === null ? undefined : `${job.error.code}: ${job.error.message}`],
  ]);
  return isWide ? fields + job.history.map((event) => `  ${JSON.stringify(event)}\n`).join('') : fields;
}

function tookOf({ startedAt, finishedAt }: Job): string | undefined {
  return startedAt === null || finishedAt === null ? undefined : formatDuration(finishedAt - startedAt);
}

export function jobsOutput(listed: Result<'job.list'>): Output {
  const nowMs = Date.now();
  return {
    schema: 'aspen.job.list/v1',
    value: listed,
    items: 'jobs',
    ids: listed.jobs.map(({ id }) => id),
    text: (isWide) =>
      formatTable(
        ['id', 'type', 'state', 'attempt', 'submitted', 'took', ...(isWide ? ['node', 'error'] : [])],
        listed.jobs.map((job) => [
          job.id,
          String(job.spec['type']),
          job.state,
          `${job.attempt}`,
          formatWhen(job.submittedAt, nowMs, formatDuration),
          tookOf(job) ?? '-',
          ...(isWide ? [job.node ?? '-', job.error?.message ?? '-'] : []),
        ]),
      ),
  };
}

/** A program's own output for people, the whole for programs. @throws AspenError CONFLICT while the job is not final. */
export function resultOutput(io: CliIo, job: Job): Output {
  if (!FINAL.has(job.state)) {
    throw new AspenError('CONFLICT', `${job.id} is ${job.state}, it has no result yet`, {
      details: { current: job.state },
    });
  }
  const { id, state, result, error } = job;
  return {
    schema: 'aspen.job.result/v1',
    value: { id, state, result: result ?? null, error },
    ids: [id],
    text: () => {
      const { stdout, stderr } = (result ?? {}) as { readonly stdout?: unknown; readonly stderr?: unknown };
      if (error !== null) io.stderr.write(`aspen-agent: ${error.code}: ${error.message}\n`);
      if (typeof stdout !== 'string') return `${JSON.stringify(result ?? null, null, 2)}\n`;
      if (typeof stderr === 'string') io.stderr.write(stderr);
      return stdout;
    },
  };
}
