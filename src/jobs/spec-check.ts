import { z } from 'zod';
import { invalid, parseWith } from '../lease/machine/index.ts';
import { isSecretName, REFERENCES_LIMIT } from '../secrets/index.ts';
import { type PackedSpec, unpackSpec } from './packing.ts';
import { isShallow } from './shallow.ts';
import { type JobSpec, SPEC_BASE } from './spec.ts';
import {
  blobIds,
  dependencies,
  failurePolicy,
  group,
  idempotencyKey,
  instantMs,
  labels,
  limitMs,
  payload,
  waitMs,
} from './spec-fields.ts';

const specSchema: z.ZodType<JobSpec> = z.object({
  type: z.string().min(1).max(128),
  payload,
  idempotencyKey: idempotencyKey.nullable(),
  queue: z.string().min(1).max(128),
  priority: z.int().min(1).max(10),
  runAtMs: instantMs.nullable(),
  delayMs: waitMs,
  timeoutMs: z.int().min(1).nullable(),
  retry: z.object({
    maxAttempts: z.int().min(1),
    maxLosses: z.int().min(0).optional(),
    backoff: z.union([z.enum(['none', 'fixed', 'exponential']), z.array(waitMs).min(1).max(100)]),
    delayMs: waitMs,
    maxDelayMs: waitMs,
    jitter: z.enum(['full', 'none']),
    nonRetryableExitCodes: z.array(z.int()).max(256),
  }),
  affinity: z.object({
    node: z.object({ peerId: z.string().max(128), mode: z.enum(['require', 'prefer']) }).nullable(),
    require: labels,
    prefer: labels,
    avoid: labels,
    key: z.string().max(512).nullable(),
    near: z.string().max(128).optional(),
    data: blobIds.optional(),
    secrets: z.array(z.string().refine(isSecretName)).max(REFERENCES_LIMIT).optional(),
    strategy: z.enum(['least-loaded', 'round-robin', 'spread']),
    waitMs,
  }),
  hold: z.union([waitMs, z.literal('auto'), z.literal('keep')]),
  labels,
  traceparent: z.string().max(256).nullable(),
  retentionMs: waitMs,
  namespace: z.string().min(1).max(128),
  concurrencyKey: z.string().min(1).max(512).nullable(),
  queueTimeoutMs: limitMs.nullable(),
  heartbeatTimeoutMs: limitMs.nullable(),
  deadlineAtMs: instantMs.nullable(),
  dependsOn: dependencies,
  onDependencyFailure: failurePolicy,
  group: group.nullable(),
});

/** Fields were added over time; those that a list lacks have their base. */
const FIRST_SPEC_FIELDS = 14;
/** So many fields have all jobs that ask for nothing rare. */
const PLAIN_SPEC_FIELDS = 16;
const SPEC_FIELDS = 22;
const parsePlain = parseWith(specSchema);

/**
 * A spec as it comes to the leader and out of the log, checked because bytes came from elsewhere. One that leaves most to the defaults
 * is checked by hand, which is most of them; what says more goes through the schema.
 * @throws AspenError INVALID_PARAMS
 */
export function checkedSpec(packed: unknown): JobSpec {
  if (!Array.isArray(packed) || packed.length < FIRST_SPEC_FIELDS || packed.length > SPEC_FIELDS)
    throw invalid('spec', `is no list of ${SPEC_FIELDS} fields`);
  const spec = unpackSpec(packed as PackedSpec);
  return packed.length <= PLAIN_SPEC_FIELDS && isPlain(spec) ? spec : parsePlain(spec);
}

function isPlain(spec: JobSpec): boolean {
  return (
    spec.retry === SPEC_BASE.retry &&
    spec.affinity === SPEC_BASE.affinity &&
    spec.labels === SPEC_BASE.labels &&
    isName(spec.type) &&
    isName(spec.queue) &&
    spec.idempotencyKey === null &&
    isCount(spec.priority) &&
    spec.priority >= 1 &&
    spec.priority <= 10 &&
    spec.runAtMs === null &&
    isCount(spec.delayMs) &&
    (spec.timeoutMs === null || (isCount(spec.timeoutMs) && spec.timeoutMs > 0)) &&
    (spec.hold === 'auto' || spec.hold === 'keep') &&
    spec.traceparent === null &&
    isCount(spec.retentionMs) &&
    isName(spec.namespace) &&
    spec.concurrencyKey === null &&
    isShallow(spec.payload)
  );
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 128;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
