import { AspenError, Batcher, fromWireError, mapAtMost, roughBytes } from '../../base/index.ts';
import {
  INLINE_PAYLOAD_LIMIT,
  isBlobPayload,
  isFinal,
  isLongerThan,
  type JobSpec,
  type JobView,
  parseShellPayload,
  requiredLayers,
  resolveJobSpec,
  type ShellPayload,
  type SubmitResult,
  submitBody,
  submitInParts,
  WAIT_LIMIT_MS,
} from '../../jobs/index.ts';
import { type Connection, checkJobSpec, type Handlers, type Result, toRpcError } from '../../rpc/index.ts';
import { secretsInShellPayload } from '../../secrets/index.ts';
import {
  parseBlobJob,
  parseHttpPayload,
  parseMaintenanceJob,
  parseReplicationJob,
} from '../../workers/index.ts';
import { commandFacts } from '../audit-trail.ts';
import type { Daemon } from '../daemon.ts';
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

interface PreparedJob {
  readonly id: string;
  readonly spec: JobSpec;
}

/** Jobs submitted in one turn travel in one command. */
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
    'job.submit': async ({ requestId, ...spec }) => {
      const given = hasLongPayload(spec) ? await keepPayload(daemon, spec) : spec;
      const job = prepare(daemon, given);
      if (requestId === undefined) return accepted(await single.add(job, roughBytes(given.payload)));
      const [result] = await submit(daemon, [job], requestId);
      return accepted(result as SubmitResult);
    },
    'job.submitMany': async ({ jobs, requestId }) => ({ results: await submitMany(daemon, jobs, requestId) }),
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

/** What is wrong with the payload of a built-in type is told when it is submitted. */
const PAYLOAD_CHECKS: ReadonlyMap<string, (payload: unknown) => unknown> = new Map<
  string,
  (payload: unknown) => unknown
>([
  ['shell', parseShellPayload],
  ['http', parseHttpPayload],
  ['blob', parseBlobJob],
  ['replication', parseReplicationJob],
  ['maintenance', parseMaintenanceJob],
]);

/** @throws AspenError INVALID_PARAMS with the path of each issue, also inside the payload of a built-in type. */
function prepare(daemon: Daemon, input: { readonly id?: string | undefined }): PreparedJob {
  const spec = resolveJobSpec(input);
  const id = input.id ?? daemon.jobIds.next();
  const check = PAYLOAD_CHECKS.get(spec.type);
  if (check === undefined) return { id, spec };
  if (isBlobPayload(spec.payload)) return noted(daemon, { id, spec });
  check(spec.payload);
  return noted(daemon, { id, spec: withLayers(spec) });
}

/** Who asked for what a node is to do is in the audit log of the node that was asked. */
function noted({ audit, platform: { crypto } }: Daemon, job: PreparedJob): PreparedJob {
  const { type, payload } = job.spec;
  audit?.record({ kind: 'submission', jobId: job.id, type, ...commandFacts(crypto, type, payload) });
  return job;
}

/** C6. A node without the layers that the payload requires does not fit. */
function withLayers(spec: JobSpec): JobSpec {
  const required = layersOf(spec);
  if (Object.keys(required).length === 0) return spec;
  return { ...spec, affinity: { ...spec.affinity, require: { ...spec.affinity.require, ...required } } };
}

/** @param payload that was checked. */
function layersOf({ type, payload }: { readonly type: string; readonly payload?: unknown }) {
  return type === 'shell' ? requiredLayers(payload as Partial<ShellPayload>) : {};
}

function hasLongPayload({ payload }: { readonly payload?: unknown }): boolean {
  return isLongerThan(payload, INLINE_PAYLOAD_LIMIT);
}

/** What is too long for a record becomes a blob; what is wrong with the job is told before anything is kept. */
async function keepPayload<
  I extends {
    readonly id?: string | undefined;
    readonly type: string;
    readonly payload?: unknown;
    readonly affinity?: { readonly require?: Readonly<Record<string, string>> | undefined } | undefined;
  },
>({ jobIds, node }: Daemon, input: I): Promise<I> {
  resolveJobSpec({ ...input, payload: null });
  PAYLOAD_CHECKS.get(input.type)?.(input.payload);
  refuseSecretsIn(input);
  const layers = layersOf(input);
  const affinity = { ...input.affinity, require: { ...input.affinity?.require, ...layers } };
  const id = input.id ?? jobIds.next();
  const payload = await node.payloads.keep(id, input.payload);
  return { ...input, ...(Object.keys(layers).length > 0 && { affinity }), id, payload };
}

/** Whoever places the job has to see what it names. */
function refuseSecretsIn({ type, payload }: { readonly type: string; readonly payload?: unknown }): void {
  if (type !== 'shell' || secretsInShellPayload(payload).length === 0) return;
  const message = `is longer than ${INLINE_PAYLOAD_LIMIT} bytes and names secrets: make it shorter, for example by a blob that the command reads`;
  throw new AspenError('INVALID_PARAMS', `job spec: payload: ${message}`, {
    details: { issues: [{ path: 'payload', message }] },
  });
}

async function submit(
  { node }: Daemon,
  jobs: readonly PreparedJob[],
  requestId: string | undefined,
): Promise<readonly SubmitResult[]> {
  return node.group.client.propose<readonly SubmitResult[]>({
    module: 'jobs',
    kind: 'submit',
    body: submitBody(jobs),
    ...(requestId !== undefined && { requestId }),
  });
}

/** @returns an outcome for each, in order, also of more than one command takes. */
async function submitAll(
  daemon: Daemon,
  jobs: readonly PreparedJob[],
  requestId: string | undefined,
): Promise<readonly SubmitResult[]> {
  try {
    const results = await submit(daemon, jobs, requestId);
    if (results.length === jobs.length) return results;
  } catch (error) {
    if (!(error instanceof AspenError) || error.details['limit'] !== 'COMMAND_BYTES_LIMIT') throw error;
  }
  return await submitInParts(jobs, (part, at) => submit(daemon, part, partRequestId(daemon, requestId, at)));
}

/** @returns the same for a repetition, and none that a program gives itself. */
function partRequestId(
  { platform: { crypto } }: Daemon,
  requestId: string | undefined,
  at: number,
): string | undefined {
  if (requestId === undefined || at === 0) return requestId;
  const named = crypto.sha256(Buffer.from(JSON.stringify(['aspen part of a submit', requestId, at])));
  return Buffer.from(named).toString('hex');
}

function accepted(result: SubmitResult): Result<'job.submit'> {
  if ('error' in result) throw fromWireError(result.error);
  return { ...result, durability: 'mesh' };
}

/** What cannot be prepared is answered in its place; the rest is submitted together. */
async function submitMany(
  daemon: Daemon,
  jobs: readonly unknown[],
  requestId: string | undefined,
): Promise<Result<'job.submitMany'>['results']> {
  const checked = jobs.map((job) => attempt(() => checkJobSpec(job)));
  const given = checked.some((item) => 'value' in item && hasLongPayload(item.value))
    ? await keepPayloads(daemon, checked)
    : checked;
  const prepared = given.map((item) => ('error' in item ? item : attempt(() => prepare(daemon, item.value))));
  const valid = prepared.flatMap((item) => ('value' in item ? [item.value] : []));
  const submitted = valid.length === 0 ? [] : await submitAll(daemon, valid, requestId);
  let next = 0;
  return prepared.map((item) => {
    if ('error' in item) return { error: toRpcError(item.error) };
    const result = attempt(() => accepted(submitted[next++] as SubmitResult));
    return 'error' in result ? { error: toRpcError(result.error) } : result.value;
  });
}

type Checked = Attempted<ReturnType<typeof checkJobSpec>>;

/**
 * Blobs of one bulk that are kept at a time: each waits for the disk several times and for another node, and all of them fit a line.
 */
const PAYLOADS_AT_ONCE = 16;

function keepPayloads(daemon: Daemon, checked: readonly Checked[]): Promise<Checked[]> {
  return mapAtMost(PAYLOADS_AT_ONCE, checked, async (item) =>
    'value' in item ? await keepOne(daemon, item) : item,
  );
}

async function keepOne(daemon: Daemon, item: Extract<Checked, { value: unknown }>): Promise<Checked> {
  if (!hasLongPayload(item.value)) return item;
  try {
    return { value: await keepPayload(daemon, item.value) };
  } catch (error) {
    if (error instanceof AspenError) return { error };
    throw error;
  }
}

type Attempted<T> = { readonly value: T } | { readonly error: AspenError };

function attempt<T>(work: () => T): Attempted<T> {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof AspenError) return { error };
    throw error;
  }
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
          ? `${id}: no leader told its state within ${timeoutMs} ms; it goes on, see: aspen-agent group status`
          : `${job.id} is ${job.state} after ${timeoutMs} ms`;
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
