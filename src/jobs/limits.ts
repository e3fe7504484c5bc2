import { z } from 'zod';
import { AspenError } from '../base/index.ts';
import type { Bucket } from '../lease/machine/index.ts';
import { type ApplyContext, type Key, keyText, type QueryContext, textKey } from './machine-port.ts';
import { SPEC_BASE } from './spec.ts';

/** What is bounded together. The `group` is all jobs there are; its name is empty. */
export type Scope = 'queue' | 'namespace' | 'type' | 'group';

/** What was set for one queue, namespace, type, or the group; null is no limit of its own. */
export interface Limits {
  /** Waiting jobs stay while it is set; those that run go on. */
  readonly paused: { readonly reason: string | null; readonly sinceMs: number } | null;
  /** Attempts at one time. */
  readonly concurrency: number | null;
  /** Attempts at one time of jobs with the same concurrency key. */
  readonly perKey: number | null;
  /** Starts per second, averaged over bursts. */
  readonly ratePerSecond: number | null;
  /** Starts at one moment after a quiet time. */
  readonly burst: number | null;
  /** Jobs that wait; a submit beyond it is refused. */
  readonly maxWaiting: number | null;
  /** Final records that are kept, the oldest leave first; dead ones are not counted. */
  readonly maxFinished: number | null;
  /** The same in bytes, as stored. */
  readonly maxFinishedBytes: number | null;
  /** A dead job is kept at least so long, whatever its spec says. */
  readonly deadRetentionMs: number | null;
}

export const UNLIMITED: Limits = Object.freeze({
  paused: null,
  concurrency: null,
  perKey: null,
  ratePerSecond: null,
  burst: null,
  maxWaiting: null,
  maxFinished: null,
  maxFinishedBytes: null,
  deadRetentionMs: null,
});

/** Queues, namespaces and types that have limits of their own. */
export const LIMITED_LIMIT = 10_000;
/** Slowest and fastest. Unit: starts per second. */
const RATE_LEAST = 1 / 86_400;
const RATE_MOST = 1_000_000;
const COUNT_MOST = Number.MAX_SAFE_INTEGER;

const count = z.int().min(1).max(COUNT_MOST).nullable().optional();
const shape = {
  concurrency: count,
  perKey: count,
  ratePerSecond: z.number().min(RATE_LEAST).max(RATE_MOST).nullable().optional(),
  burst: z.int().min(1).max(RATE_MOST).nullable().optional(),
  maxWaiting: z.int().min(0).max(COUNT_MOST).nullable().optional(),
  maxFinished: z.int().min(0).max(COUNT_MOST).nullable().optional(),
  maxFinishedBytes: z.int().min(0).max(COUNT_MOST).nullable().optional(),
  deadRetentionMs: z.int().min(0).max(COUNT_MOST).nullable().optional(),
};
const name = z.string().min(1).max(128);

/** A field that is left out stays as it is, null lifts the limit. */
export const limitSchema = z.discriminatedUnion('scope', [
  z
    .strictObject({ scope: z.literal('queue'), name, ...shape })
    .refine(
      ({ name, maxFinished, maxFinishedBytes }) =>
        name !== SPEC_BASE.queue || (maxFinished ?? maxFinishedBytes ?? null) === null,
      {
        path: ['maxFinished'],
        error: 'the default queue has none of its own; bound all jobs together instead',
      },
    ),
  z.strictObject({
    scope: z.literal('namespace'),
    name,
    concurrency: shape.concurrency,
    maxWaiting: shape.maxWaiting,
  }),
  z.strictObject({
    scope: z.literal('type'),
    name,
    ratePerSecond: shape.ratePerSecond,
    burst: shape.burst,
  }),
  z.strictObject({
    scope: z.literal('group'),
    name: z.literal(''),
    maxWaiting: shape.maxWaiting,
    maxFinished: shape.maxFinished,
    maxFinishedBytes: shape.maxFinishedBytes,
    deadRetentionMs: shape.deadRetentionMs,
  }),
]);

export const pauseSchema = z.object({ queue: name, reason: z.string().max(1_024).nullable() });
export const resumeSchema = z.object({ queue: name });

/** The limits that are set, decoded. A function of the table `limits`, taken back with a refused command. */
export class LimitBook {
  readonly #limits = new Map<Key, Limits>();
  #undo: (readonly [key: Key, before: Limits | undefined])[] = [];

  get size(): number {
    return this.#limits.size;
  }

  of(scope: Scope, named: string): Limits {
    return this.#limits.size === 0 ? UNLIMITED : this.find(limitsKey(scope, named));
  }

  /** @param key as {@link limitsKey} makes it. */
  find(key: Key): Limits {
    return this.#limits.get(key) ?? UNLIMITED;
  }

  /** Names of one scope with limits of their own, in no order. */
  *names(scope: Scope): Generator<string, void, undefined> {
    const prefix = `${scope}/`;
    for (const key of this.#limits.keys())
      if (key.startsWith(prefix)) yield keyText(key.slice(prefix.length));
  }

  /** @param limits undefined when there are none any more. */
  set(key: Key, limits: Limits | undefined): void {
    this.#undo.push([key, this.#limits.get(key)]);
    this.#put(key, limits);
  }

  begin(): void {
    if (this.#undo.length > 0) this.#undo = [];
  }

  rollback(): void {
    for (const [key, before] of this.#undo.reverse()) this.#put(key, before);
    this.#undo = [];
  }

  describe(): Readonly<Record<string, Limits>> {
    return Object.fromEntries([...this.#limits].sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  #put(key: Key, limits: Limits | undefined): void {
    if (limits === undefined) this.#limits.delete(key);
    else this.#limits.set(key, limits);
  }
}

/** What holds a {@link LimitBook}; the index in memory does. */
export interface HasLimits {
  readonly limits: LimitBook;
}

/** @returns what is told of a paused queue, with its reason where one was given. */
export function pauseText(queue: string, { reason }: NonNullable<Limits['paused']>): string {
  return `queue ${queue} is paused${reason === null ? '' : `: ${reason}`}`;
}

export function limitsKey(scope: Scope, named: string): Key {
  return `${scope}/${textKey(named)}`;
}

/** Every row of the table, for making the book anew. */
export function readLimits(tables: Pick<QueryContext, 'table'>, book: LimitBook): void {
  for (const [key, limits] of tables.table<Partial<Limits>>('limits').range({}))
    book.set(key, { ...UNLIMITED, ...limits });
  book.begin();
}

type Rate = Pick<Limits, 'ratePerSecond' | 'burst'>;

/** Q4 Starts that a bucket is short of stay so many when rate or burst change, no more than the new burst, and come back at the new rate. */
function keepSpent(context: ApplyContext, key: Key, before: Rate, after: Rate): void {
  const buckets = context.table<Bucket>('buckets');
  if (after.ratePerSecond === null) {
    buckets.delete(key);
    return;
  }
  const bucket = buckets.get(key);
  if (bucket === undefined || before.ratePerSecond === null) return;
  const spent = (Math.max(0, bucket.fullAtMs - context.groupMs) / 1_000) * before.ratePerSecond;
  const restMs = (Math.min(spent, burstOf(after)) / after.ratePerSecond) * 1_000;
  buckets.put(key, { fullAtMs: context.groupMs + restMs });
}

/** @returns starts at one moment after a quiet time: those of a second where nothing was said. */
export function burstOf({ ratePerSecond, burst }: Rate): number {
  return burst ?? Math.max(1, Math.ceil(ratePerSecond ?? 1));
}

/**
 * Q2 Table and book change together. What is without limits has no row, and no bucket.
 * @throws AspenError RESOURCE_EXHAUSTED when too many have limits of their own.
 */
export function putLimits(context: ApplyContext, book: LimitBook, key: Key, limits: Limits): void {
  const set = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== null));
  const isNone = Object.keys(set).length === 0;
  const isKnown = context.table('limits').get(key) !== undefined;
  if (!isNone && !isKnown && book.size >= LIMITED_LIMIT) {
    throw new AspenError('RESOURCE_EXHAUSTED', `${book.size} have limits of their own, which is the most`, {
      details: { limit: 'LIMITED_LIMIT' },
    });
  }
  keepSpent(context, key, book.find(key), limits);
  if (isNone) context.table('limits').delete(key);
  else context.table<Partial<Limits>>('limits').put(key, set);
  book.set(key, isNone ? undefined : limits);
}
