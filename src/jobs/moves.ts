import type { ApplyContext } from './machine-port.ts';
import type { JobError, JobRecord } from './record.ts';
import type { JobSpec } from './spec.ts';

/** An idempotency key names its job for at least so long after the job is final; the record is kept for that. Unit: ms. */
export const KEY_WINDOW_MS = 24 * 3_600_000;

/** @returns the record as it begins to wait, after its submission or when its last dependency was met. */
export function starting(record: JobRecord, context: ApplyContext): JobRecord {
  return waiting(record, record.spec.delayMs, context);
}

/** @returns the record put back to wait: due after `delayMs` of group time, or ready at once. */
export function waiting(record: JobRecord, delayMs: number, context: ApplyContext): JobRecord {
  if (delayMs <= 0) return ready(record, context);
  return { ...record, state: 'scheduled', dueGroupMs: context.groupMs + delayMs };
}

/**
 * @returns the record whose delays are over: queued, unless the instant of its spec is still to come, which is compared with the wall time
 * of the command and binds the first attempt only.
 */
export function ready(record: JobRecord, { wallMs, groupMs }: ApplyContext): JobRecord {
  const { runAtMs, queueTimeoutMs } = record.spec;
  if (runAtMs !== null && runAtMs > wallMs && record.attempt === 0) {
    return { ...record, state: 'scheduled', dueGroupMs: null };
  }
  return {
    ...record,
    state: 'queued',
    readyGroupMs: record.readyGroupMs ?? groupMs,
    dueGroupMs: queueTimeoutMs === null ? null : groupMs + queueTimeoutMs,
  };
}

/** @returns the fields that become final. */
export function finished({ spec }: { readonly spec: JobSpec }, { wallMs, groupMs }: ApplyContext) {
  const keptMs = spec.idempotencyKey === null ? 0 : KEY_WINDOW_MS;
  return {
    finishedAt: wallMs,
    expiresGroupMs: groupMs + Math.max(spec.retentionMs, keptMs),
    dueGroupMs: null,
    ending: null,
  } as const;
}

/** @returns group time until which the idempotency key of a final job names it, whatever else would be removed; 0 where it has none. */
export function keyEndsGroupMs({ spec, expiresGroupMs }: JobRecord): number {
  if (spec.idempotencyKey === null || expiresGroupMs === null) return 0;
  return expiresGroupMs - Math.max(0, spec.retentionMs - KEY_WINDOW_MS);
}

/** @returns the record of a job that ends without an attempt of its own. */
export function ended(
  record: JobRecord,
  state: 'dead' | 'skipped',
  error: JobError,
  context: ApplyContext,
): JobRecord {
  return { ...record, ...finished(record, context), state, error };
}
