import { AspenError, fromWireError } from '../../base/index.ts';
import {
  INLINE_PAYLOAD_LIMIT,
  isBlobPayload,
  isLongerThan,
  type JobSpec,
  parseShellPayload,
  requiredLayers,
  resolveJobSpec,
  type ShellPayload,
  type SubmitResult,
  submitBody,
} from '../../jobs/index.ts';
import type { Result } from '../../rpc/index.ts';
import { secretsInShellPayload } from '../../secrets/index.ts';
import {
  parseBlobJob,
  parseHttpPayload,
  parseMaintenanceJob,
  parseReplicationJob,
} from '../../workers/index.ts';
import { commandFacts } from '../audit-trail.ts';
import type { Daemon } from '../daemon.ts';

/** A job that was checked, has its id, and can be submitted. */
export interface PreparedJob {
  readonly id: string;
  readonly spec: JobSpec;
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
export function prepare(daemon: Daemon, input: { readonly id?: string | undefined }): PreparedJob {
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

export function hasLongPayload({ payload }: { readonly payload?: unknown }): boolean {
  return isLongerThan(payload, INLINE_PAYLOAD_LIMIT);
}

/** What is too long for a record becomes a blob; what is wrong with the job is told before anything is kept. */
export async function keepPayload<
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

/** Submits what is ready, as one command. @throws AspenError what the group throws. */
export async function submit(
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

/** @throws AspenError why the group refused the job. */
export function accepted(result: SubmitResult): Result<'job.submit'> {
  if ('error' in result) throw fromWireError(result.error);
  return { ...result, durability: 'mesh' };
}
