import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AspenError, toWireError, type WireError } from '../base/index.ts';
import { parseWith } from '../lease/machine/index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import { type PackedSpec, packSpec } from './packing.ts';
import type { JobRecord } from './record.ts';
import { findRecord, putRecord } from './record-store.ts';
import { waiting } from './settle.ts';
import { type JobSpec, jobIdSchema } from './spec.ts';
import { checkedSpec } from './spec-check.ts';

export interface SubmitItem {
  readonly id: string;
  readonly spec: JobSpec;
}

export type SubmitResult =
  | { readonly id: string; readonly duplicate: boolean }
  | { readonly error: WireError };

/** The body of a submit command, with specs packed: short in the log, and quick to read. */
export interface SubmitBody {
  readonly jobs: readonly (readonly [id: string, spec: PackedSpec])[];
}

/** Jobs of one command. */
export const SUBMIT_LIMIT = 10_000;

const parseJobs = parseWith(
  z.object({ jobs: z.array(z.tuple([jobIdSchema, z.unknown()])).max(SUBMIT_LIMIT) }),
);

export function submitBody(jobs: readonly SubmitItem[]): SubmitBody {
  return { jobs: jobs.map(({ id, spec }) => [id, packSpec(spec)]) };
}

export function parseSubmit(body: unknown): { readonly jobs: readonly SubmitItem[] } {
  return { jobs: parseJobs(body).jobs.map(([id, packed]) => ({ id, spec: checkedSpec(packed) })) };
}

/** Each item has its own outcome; one that is refused harms no other. */
export function applySubmit(
  { jobs }: { readonly jobs: readonly SubmitItem[] },
  context: ApplyContext,
): readonly SubmitResult[] {
  return jobs.map((item, offset) => {
    try {
      return submitOne(item, offset, context);
    } catch (error) {
      if (error instanceof AspenError) return { error: toWireError(error) };
      throw error;
    }
  });
}

/** J4 An id, and an idempotency key, names one job: put-if-absent inside the command. */
function submitOne({ id, spec }: SubmitItem, offset: number, context: ApplyContext): SubmitResult {
  const holder =
    spec.idempotencyKey === null
      ? undefined
      : context.table<string>('idempotency').get(textKey(spec.idempotencyKey));
  if (holder !== undefined) return { id: holder, duplicate: true };
  const known = findRecord(context, id);
  if (known !== undefined) return sameJob(known, spec);
  const record: JobRecord = {
    id,
    spec,
    state: 'queued',
    position: context.position,
    offset,
    submittedAt: context.wallMs,
    attempt: 0,
    running: null,
    dueGroupMs: null,
    failureCount: 0,
    lossCount: 0,
    finishedAt: null,
    expiresGroupMs: null,
    result: null,
    error: null,
    cancelReason: null,
    history: [],
  };
  putRecord(context, waiting(record, startDelayMs(spec, context), context), undefined);
  return { id, duplicate: false };
}

function startDelayMs({ runAtMs, delayMs }: JobSpec, { wallMs }: ApplyContext): number {
  return Math.max(delayMs, runAtMs === null ? 0 : runAtMs - wallMs);
}

function sameJob({ id, spec: known, state }: JobRecord, spec: JobSpec): SubmitResult {
  if (isDeepStrictEqual(known, spec)) return { id, duplicate: true };
  throw new AspenError('CONFLICT', `${id} names another job already, with another spec`, {
    details: { current: { id, state } },
  });
}
