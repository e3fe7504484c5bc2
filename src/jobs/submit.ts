import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AspenError, toWireError } from '../base/index.ts';
import { invalid, parseWith } from '../lease/machine/index.ts';
import { admit } from './admission.ts';
import { afterParents } from './dependencies.ts';
import { type FreshJob, freshRecord } from './fresh-record.ts';
import { DELIVERY_ID_PREFIX, DELIVERY_TYPE } from './hooks/deliveries.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import { SINCE } from './machine-versions.ts';
import { starting } from './moves.ts';
import { checkNamedSecrets } from './named-secrets.ts';
import { isPlainSubmit, quickly } from './quick-checks.ts';
import type { JobRecord, JobState } from './record.ts';
import { findRecord, putRecord } from './record-store.ts';
import { checkRequiredNode } from './required-node.ts';
import type { JobSpec } from './spec.ts';
import { checkedSpec } from './spec-check.ts';
import { jobIdSchema } from './spec-fields.ts';
import type { SubmitItem, SubmitResult } from './submission.ts';
import { orderOf } from './submit-order.ts';

/** Jobs of one command. */
export const SUBMIT_LIMIT = 10_000;

const parseJobs = quickly<{ jobs: [id: string, spec: unknown][] }>(
  isPlainSubmit,
  parseWith(z.object({ jobs: z.array(z.tuple([jobIdSchema, z.unknown()])).max(SUBMIT_LIMIT) })),
);

export function parseSubmit(body: unknown): { readonly jobs: readonly SubmitItem[] } {
  return { jobs: parseJobs(body).jobs.map(([id, packed]) => ({ id, spec: checkedSpec(packed) })) };
}

/** @returns the machine version that understands all that is asked for. */
export function versionOfSubmit({ jobs }: { readonly jobs: readonly SubmitItem[] }): number {
  return jobs.some(({ spec }) => spec.retry.maxLosses !== undefined) ? SINCE.maxLosses : 1;
}

/** Each item has its own outcome; one that is refused harms no other, but those that depend on it. */
export function applySubmit(
  { jobs }: { readonly jobs: readonly SubmitItem[] },
  context: ApplyContext,
): readonly SubmitResult[] {
  const submit = (item: SubmitItem, offset: number) => outcomeOf(() => submitOne(item, offset, context));
  if (jobs.every(({ spec }) => spec.dependsOn.length === 0)) return jobs.map(submit);
  const { order, cycles } = orderOf(jobs, ({ id }) => findRecord(context, id) !== undefined);
  const results: SubmitResult[] = [];
  for (const at of order) results[at] = submit(jobs[at] as SubmitItem, at);
  for (const [at, ids] of cycles) {
    results[at] = { error: toWireError(invalid('dependsOn', `waits for itself: ${ids.join(' → ')}`)) };
  }
  return results;
}

function outcomeOf(work: () => SubmitResult): SubmitResult {
  try {
    return work();
  } catch (error) {
    if (error instanceof AspenError) return { error: toWireError(error) };
    throw error;
  }
}

/** J4 An id, and an idempotency key, names one job: put-if-absent inside the command. */
function submitOne({ id, spec }: SubmitItem, offset: number, context: ApplyContext): SubmitResult {
  checkFree(id, spec);
  const holder =
    spec.idempotencyKey === null
      ? undefined
      : context.table<string>('idempotency').get(textKey(spec.idempotencyKey));
  if (holder !== undefined) return { id: holder, duplicate: true };
  const known = context.derived<LiveIndex>().newIds.isNew(id) ? undefined : findRecord(context, id);
  if (known !== undefined) return sameJob(known, spec);
  checkDeadline(spec, context);
  checkRequiredNode(spec, context);
  checkNamedSecrets(spec, context);
  admit(spec, context);
  putRecord(context, firstRecord({ id, spec, offset }, context), undefined);
  return { id, duplicate: false };
}

function firstRecord(job: FreshJob, context: ApplyContext): JobRecord {
  const fresh = freshRecord(job, context);
  if (job.spec.dependsOn.length === 0) return starting(fresh, context);
  const states = parentStates(job.spec, context);
  return afterParents(fresh, (parent) => states.get(parent), context);
}

/**
 * A parent that is final has decided already; one that is not will, when it ends.
 * @throws AspenError INVALID_PARAMS naming the first that nobody knows.
 */
function parentStates({ dependsOn }: JobSpec, context: ApplyContext): ReadonlyMap<string, JobState> {
  const states = new Map<string, JobState>();
  for (const [at, { id }] of dependsOn.entries()) {
    const record = findRecord(context, id);
    const message = `no job ${id}; a parent has to be there first, or to be submitted together with those that wait for it`;
    if (record === undefined) throw invalid(`dependsOn[${at}]`, message);
    states.set(id, record.state);
  }
  return states;
}

/** E3 What delivers for hooks is made by the group alone. @throws AspenError INVALID_PARAMS */
function checkFree(id: string, { type }: JobSpec): void {
  if (type === DELIVERY_TYPE) throw invalid('type', `${DELIVERY_TYPE} is for deliveries of hooks`);
  if (id.startsWith(DELIVERY_ID_PREFIX))
    throw invalid('id', `ids that begin with ${DELIVERY_ID_PREFIX} are for deliveries of hooks`);
}

function checkDeadline({ deadlineAtMs }: JobSpec, { wallMs }: ApplyContext): void {
  if (deadlineAtMs !== null && deadlineAtMs <= wallMs)
    throw invalid('deadlineAt', `${new Date(deadlineAtMs).toISOString()} is over already`);
}

function sameJob({ id, spec: known, state }: JobRecord, spec: JobSpec): SubmitResult {
  if (isDeepStrictEqual(known, spec)) return { id, duplicate: true };
  throw new AspenError('CONFLICT', `${id} names another job already, with another spec`, {
    details: { current: { id, state } },
  });
}
