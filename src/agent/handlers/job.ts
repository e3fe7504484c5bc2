import { AspenError, Batcher, formatDuration, roughBytes } from '../../base/index.ts';
import {
  isFinal,
  type JobView,
  type SubmitResult,
  versionOfSubmit,
  WAIT_LIMIT_MS,
} from '../../jobs/index.ts';
import type { Connection, Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { BulkSubmit } from './bulk-submit.ts';
import { accepted, hasLongPayload, keepPayload, type PreparedJob, prepare, submit } from './job-intake.ts';
import { LogSubscriptions } from './log-subscriptions.ts';

type JobHandlers = Pick<
  Handlers,
  | 'job.submit'
  | 'job.submitMany'
  | 'job.get'
  | 'job.list'
  | 'job.wait'
  | 'job.cancel'
  | 'job.retry'
  | 'job.pause'
  | 'job.resume'
  | 'job.explain'
  | 'job.logs'
  | 'job.logsStop'
  | 'job.progress'
>;

/** Jobs submitted in one turn travel in one command; one that not every voter may understand yet goes alone, since it is refused as a whole. */
const SUBMIT_BATCH = { itemsLimit: 1_000, bytesLimit: 2 ** 19 };

/** Slack for the answer of the leader beyond the time it was asked to wait. Unit: ms. */
const WAIT_SLACK_MS = 5_000;
/** Who waits for no time at all is told what the job is now, where a leader can be asked. Unit: ms. */
const LEAST_ANSWER_MS = 1_000;

/** Jobs, as the socket offers them. */
export function jobHandlers(daemon: Daemon): JobHandlers {
  const logs = new LogSubscriptions(daemon);
  const single = new Batcher<PreparedJob, SubmitResult>(
    (jobs) => submit(daemon, jobs, undefined),
    SUBMIT_BATCH,
  );
  const bulks = new BulkSubmit(daemon);
  const query = <R>(kind: string, body: object): Promise<R> =>
    daemon.node.group.client.query<R>({ module: 'jobs', kind, body });
  const move = (kind: string, id: string, requestId: string | undefined) =>
    daemon.node.group.client.propose<Result<'job.get'>>({
      module: 'jobs',
      kind,
      body: { id },
      ...(requestId !== undefined && { requestId }),
    });
  return {
    'job.submit': async (params) => {
      const { requestId } = params;
      const spec = requestId === undefined ? params : withoutRequestId(params);
      const given = hasLongPayload(spec) ? await keepPayload(daemon, spec) : spec;
      const job = prepare(daemon, given);
      if (requestId === undefined && versionOfSubmit({ jobs: [job] }) === 1) {
        const { answers, at } = single.join(job, roughBytes(given.payload));
        return accepted((await answers)[at] as SubmitResult);
      }
      const [result] = await submit(daemon, [job], requestId);
      return accepted(result as SubmitResult);
    },
    'job.submitMany': async ({ jobs, requestId }) => ({ results: await bulks.submit(jobs, requestId) }),
    'job.get': async ({ id }) => query<Result<'job.get'>>('get', { id }),
    'job.list': async (params) => query<Result<'job.list'>>('list', params),
    'job.wait': async ({ id, timeoutMs }, connection) => waitForJob(daemon, { id, timeoutMs }, connection),
    'job.cancel': async ({ id, reason = null, requestId }) =>
      daemon.node.group.client.propose<Result<'job.cancel'>>({
        module: 'jobs',
        kind: 'cancel',
        body: { id, reason },
        ...(requestId !== undefined && { requestId }),
      }),
    'job.retry': async ({ id, requestId }) => move('retry', id, requestId),
    'job.pause': async ({ id, requestId }) => move('pause', id, requestId),
    'job.resume': async ({ id, requestId }) => move('resume', id, requestId),
    'job.explain': async ({ id }) =>
      daemon.node.group.client.askLeader<Result<'job.explain'>>('jobs/explain', { id }),
    'job.logs': async ({ id, follow = false, fromOffset = 0 }, connection) => {
      const job = await query<JobView>('get', { id });
      return { subscription: logs.open({ jobId: job.id, follow, fromOffset }, connection) };
    },
    'job.logsStop': async ({ subscription }, connection) => ({
      stopped: logs.close(subscription, connection),
    }),
    'job.progress': async ({ id }) => {
      const job = await query<JobView>('get', { id });
      return progressOf(daemon, job.id);
    },
  };
}

function withoutRequestId<P extends { readonly requestId?: string | undefined }>({
  requestId: _,
  ...spec
}: P): Omit<P, 'requestId'> {
  return spec;
}

/** Asks again in rounds, so that the wait survives the leader it was asked of. */
async function waitForJob(
  daemon: Daemon,
  {
    id,
    timeoutMs = Number.MAX_SAFE_INTEGER,
  }: { readonly id: string; readonly timeoutMs?: number | undefined },
  { signal }: Connection,
): Promise<JobView> {
  const { clock } = daemon;
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const leftMs = endMs - clock.monotonicMs();
    const waitMs = Math.max(0, Math.min(WAIT_LIMIT_MS, leftMs));
    const job = await askForJob(daemon, { id, waitMs }, signal);
    if (job !== undefined && isFinal(job.state)) return job;
    if (clock.monotonicMs() >= endMs) {
      const message =
        job === undefined
          ? `${id}: no leader told its state within ${formatDuration(timeoutMs)}; it goes on, see: aspen-agent group status`
          : `${job.id} is ${job.state} after ${formatDuration(timeoutMs)}`;
      throw new AspenError('DEADLINE_EXCEEDED', message, {
        details: { current: job?.state },
        outcome: 'not-applied',
      });
    }
  }
}

/** @returns undefined when nobody could answer in this round. */
async function askForJob(
  { node }: Daemon,
  body: { readonly id: string; readonly waitMs: number },
  signal: AbortSignal,
): Promise<JobView | undefined> {
  try {
    const leaderlessMs = Math.min(Math.max(body.waitMs, LEAST_ANSWER_MS), WAIT_SLACK_MS);
    const options = { timeoutMs: body.waitMs + WAIT_SLACK_MS, leaderlessMs, signal };
    return await node.group.client.askLeader<JobView>('jobs/wait', body, options);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AspenError && error.retry !== 'never') return undefined;
    throw error;
  }
}

function progressOf({ node }: Daemon, jobId: string): Result<'job.progress'> {
  const known = node.registry.progressOf(jobId);
  if (known === undefined) return null;
  const {
    percent = null,
    message = null,
    counters = {},
  } = known.progress as Partial<NonNullable<Result<'job.progress'>>>;
  return { percent, message, counters, hlc: String(known.hlc) };
}
