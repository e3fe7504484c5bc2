import type { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { readersOf } from '../../lease/machine/index.ts';
import type { LiveIndex } from '../live-index.ts';
import type { ApplyContext, QueryContext } from '../machine-port.ts';
import { finished } from '../moves.ts';
import type { JobRecord } from '../record.ts';
import { findRecord, putRecord } from '../record-store.ts';
import { type Gate, gateOf } from './breaker.ts';
import { testDelivery } from './deliveries.ts';
import type { addHookSchema, Hook, pauseHookSchema } from './hook.ts';
import { deleteHook, FRESH, putHook, resolveHook } from './hook-book.ts';

/** A hook as the interface shows it. */
export interface HookView {
  readonly id: string;
  readonly url: string;
  readonly on: readonly string[];
  readonly type: string | null;
  readonly queue: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly signed: boolean;
  /** What it signs with. */
  readonly secretName: string | null;
  /** Wall time. */
  readonly createdAt: number;
  readonly paused: boolean;
  readonly pauseReason: string | null;
  readonly circuit: Gate;
  /** Attempts that failed since the last success. */
  readonly failures: number;
  /** How long nothing is tried yet; null while something is. */
  readonly retryInMs: number | null;
  readonly lastError: { readonly message: string; readonly at: number } | null;
  readonly waiting: number;
  readonly running: number;
  /** Deliveries that are kept, by how they ended. */
  readonly delivered: number;
  readonly dead: number;
  /** Events that found too many deliveries waiting. */
  readonly dropped: number;
}

/** @throws AspenError CONFLICT; NOT_FOUND when there is no such secret; RESOURCE_EXHAUSTED when there are too many. */
export function applyAddHook(body: z.output<typeof addHookSchema>, context: ApplyContext): HookView {
  const { hooks } = context.derived<LiveIndex>();
  const known = hooks.find(body.id);
  if (known !== undefined) throw new AspenError('CONFLICT', `there is a hook ${body.id} already`);
  if (body.secretName !== null && readersOf(context, body.secretName) === undefined)
    throw new AspenError('NOT_FOUND', `there is no secret "${body.secretName}"`);
  const hook: Hook = { ...FRESH, ...body, createdAt: context.wallMs, position: context.position };
  putHook(context, hooks, hook);
  return viewHook(hook, context);
}

/** What waits to be delivered is cancelled with it; what is under way ends by itself. @throws AspenError NOT_FOUND */
export function applyRemoveHook({ id: name }: { readonly id: string }, context: ApplyContext) {
  const index = context.derived<LiveIndex>();
  const { id } = resolveHook(index.hooks, name);
  const waiting = [...index.newestOf('queue', id)].flatMap((placed) => {
    const record = findRecord(context, placed.id);
    return record === undefined || record.running !== null ? [] : [record];
  });
  for (const record of waiting) putRecord(context, withdrawn(record, context), record);
  deleteHook(context, index.hooks, id);
  return { id, cancelled: waiting.length };
}

/** @throws AspenError NOT_FOUND */
export function applyPauseHook(
  { id, reason }: z.output<typeof pauseHookSchema>,
  context: ApplyContext,
): HookView {
  const { hooks } = context.derived<LiveIndex>();
  const hook = resolveHook(hooks, id);
  const after = { ...hook, paused: { reason, sinceMs: hook.paused?.sinceMs ?? context.wallMs } };
  putHook(context, hooks, after);
  return viewHook(after, context);
}

/** Deliveries start again; an open circuit is tried at once. @throws AspenError NOT_FOUND */
export function applyResumeHook({ id }: { readonly id: string }, context: ApplyContext): HookView {
  const { hooks } = context.derived<LiveIndex>();
  const hook = resolveHook(hooks, id);
  const isOpen = gateOf(hook, context.groupMs) === 'open';
  const after = { ...hook, paused: null, ...(isOpen && { openUntilMs: context.groupMs }) };
  putHook(context, hooks, after);
  return viewHook(after, context);
}

/** @returns the job that delivers a test. @throws AspenError NOT_FOUND */
export function applyTestHook({ id }: { readonly id: string }, context: ApplyContext) {
  const { hooks } = context.derived<LiveIndex>();
  const hook = resolveHook(hooks, id);
  const delivery = testDelivery(hook, context);
  putRecord(context, delivery, undefined);
  return { id: hook.id, job: delivery.id };
}

export function runHooks(context: QueryContext): { readonly hooks: readonly HookView[] } {
  const { hooks } = context.derived<LiveIndex>();
  return { hooks: hooks.all().map((hook) => viewHook(hook, context)) };
}

/** @throws AspenError NOT_FOUND */
export function runHook({ id }: { readonly id: string }, context: QueryContext): HookView {
  return viewHook(resolveHook(context.derived<LiveIndex>().hooks, id), context);
}

function withdrawn(record: JobRecord, context: ApplyContext): JobRecord {
  return {
    ...record,
    ...finished(record, context),
    state: 'cancelled',
    cancelReason: 'its hook was removed',
  };
}

function viewHook(hook: Hook, context: ApplyContext | QueryContext): HookView {
  const { tallies, finished: kept } = context.derived<LiveIndex>();
  const { waiting, running } = tallies.ofQueue(hook.id);
  const counts = kept.of(hook.id);
  const circuit = gateOf(hook, context.groupMs);
  return {
    id: hook.id,
    url: hook.url,
    on: hook.on,
    type: hook.type,
    queue: hook.queue,
    labels: hook.labels,
    signed: hook.secretName !== null,
    secretName: hook.secretName,
    createdAt: hook.createdAt,
    paused: hook.paused !== null,
    pauseReason: hook.paused?.reason ?? null,
    circuit,
    failures: hook.failureCount,
    retryInMs: circuit === 'open' ? (hook.openUntilMs as number) - context.groupMs : null,
    lastError: hook.lastError,
    waiting,
    running,
    delivered: counts.succeeded,
    dead: counts.dead,
    dropped: hook.droppedCount,
  };
}
