import { z } from 'zod';
import { type Limits, type limitSchema, limitsKey, type pauseSchema, putLimits } from './limits.ts';
import type { LiveIndex } from './live-index.ts';
import { type ApplyContext, type QueryContext, textKey } from './machine-port.ts';
import type { JobState } from './record.ts';
import { SPEC_BASE } from './spec.ts';
import type { QueueTally } from './tallies.ts';

/** A queue as the interface shows it. */
export interface QueueView {
  readonly queue: string;
  readonly paused: boolean;
  readonly pauseReason: string | null;
  /** Wall time. */
  readonly pausedAt: number | null;
  readonly waiting: number;
  readonly running: number;
  /** Jobs by state, finished ones that are kept included; states that no job is in are absent. */
  readonly states: Readonly<Partial<Record<JobState, number>>>;
  readonly limits: Omit<Limits, 'paused'>;
}

/** A namespace as the interface shows it. */
export interface NamespaceView {
  readonly namespace: string;
  readonly waiting: number;
  readonly running: number;
  readonly limits: Pick<Limits, 'concurrency' | 'maxWaiting'>;
}

const QUEUES_PAGE = 1_000;

export const listQueuesSchema = z.object({
  queue: z.string().min(1).max(128).optional(),
  limit: z.int().min(1).max(QUEUES_PAGE).default(QUEUES_PAGE),
  /** The name after which to go on. */
  cursor: z.string().max(128).optional(),
});

/** Waiting jobs stay and running ones go on. Pausing what is paused changes the reason alone. */
export function applyPause(
  { queue, reason }: z.output<typeof pauseSchema>,
  context: ApplyContext,
): QueueView {
  const before = context.derived<LiveIndex>().limits.of('queue', queue);
  const paused = { reason, sinceMs: before.paused?.sinceMs ?? context.wallMs };
  change(context, limitsKey('queue', queue), { ...before, paused });
  return viewQueue(context, queue);
}

export function applyResume({ queue }: { readonly queue: string }, context: ApplyContext): QueueView {
  const before = context.derived<LiveIndex>().limits.of('queue', queue);
  if (before.paused !== null) change(context, limitsKey('queue', queue), { ...before, paused: null });
  return viewQueue(context, queue);
}

/** @returns the limits as they are now. */
export function applyLimit(
  { scope, name, ...patch }: z.output<typeof limitSchema>,
  context: ApplyContext,
): Omit<Limits, 'paused'> {
  const before = context.derived<LiveIndex>().limits.of(scope, name);
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  const after: Limits = { ...before, ...given };
  change(context, limitsKey(scope, name), after);
  return withoutPause(after);
}

/** @returns every queue with jobs or limits of its own, by name; the default queue always. */
export function runQueues(
  { queue, limit, cursor }: z.output<typeof listQueuesSchema>,
  context: QueryContext,
): { readonly queues: QueueView[]; readonly cursor?: string } {
  if (queue !== undefined) return { queues: [viewQueue(context, queue)] };
  const { tallies, limits, finished } = context.derived<LiveIndex>();
  const names = new Set([
    SPEC_BASE.queue,
    ...tallies.queueNames(),
    ...finished.queueNames(),
    ...limits.names('queue'),
  ]);
  const rest = [...names].filter((name) => cursor === undefined || textKey(name) > textKey(cursor));
  const page = rest.sort(byName).slice(0, limit);
  const queues = page.map((name) => viewQueue(context, name));
  const last = page.at(-1);
  return rest.length > limit && last !== undefined ? { queues, cursor: last } : { queues };
}

/** @returns what bounds namespaces, types, and all jobs together. */
export function runLimits(context: QueryContext) {
  const { tallies, limits } = context.derived<LiveIndex>();
  const names = [...new Set([...tallies.namespaceNames(), ...limits.names('namespace')])].sort(byName);
  const { maxWaiting, maxFinished, maxFinishedBytes, deadRetentionMs } = limits.of('group', '');
  return {
    all: { ...tallies.all, limits: { maxWaiting, maxFinished, maxFinishedBytes, deadRetentionMs } },
    namespaces: names.map((namespace): NamespaceView => {
      const { concurrency, maxWaiting } = limits.of('namespace', namespace);
      return { namespace, ...tallies.ofNamespace(namespace), limits: { concurrency, maxWaiting } };
    }),
    types: [...limits.names('type')].sort(byName).map((type) => {
      const { ratePerSecond, burst } = limits.of('type', type);
      return { type, limits: { ratePerSecond, burst } };
    }),
  };
}

function viewQueue(context: ApplyContext | QueryContext, queue: string): QueueView {
  const { tallies, limits, finished } = context.derived<LiveIndex>();
  const of = limits.of('queue', queue);
  const { waiting, running, states } = tallies.ofQueue(queue);
  const { bytes: _, ...kept } = finished.of(queue);
  return {
    queue,
    paused: of.paused !== null,
    pauseReason: of.paused?.reason ?? null,
    pausedAt: of.paused?.sinceMs ?? null,
    waiting,
    running,
    states: inOrder({ ...states, ...kept }),
    limits: withoutPause(of),
  };
}

/** Commands answer with it, so it must not show in which order a replica came to know the states. */
function inOrder(states: QueueTally['states']): QueueTally['states'] {
  const present = Object.entries(states).filter(([, count]) => count !== 0);
  return Object.fromEntries(present.sort(([left], [right]) => (left < right ? -1 : 1)));
}

function change(context: ApplyContext, key: string, after: Limits): void {
  putLimits(context, context.derived<LiveIndex>().limits, key, after);
  context.emit({ type: 'limits', key });
}

function withoutPause({ paused: _, ...limits }: Limits): Omit<Limits, 'paused'> {
  return limits;
}

function byName(left: string, right: string): number {
  return textKey(left) < textKey(right) ? -1 : 1;
}
