import { z } from 'zod';
import { numberKey, textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import { nameSchema } from './coordination-checks.ts';
import { exhausted } from './lease-records.ts';
import type { ApplyContext, MachineModule } from './module.ts';

/** Limits that are in use at one time: those that could be taken from in full are forgotten. */
export const RATE_LIMITS_LIMIT = 100_000;
/** Permits of one bucket. */
export const BURST_LIMIT = 1_000_000;
/** Slowest and fastest refill. Unit: permits per second. */
const RATE_LEAST = 1 / (24 * 3_600);
const RATE_MOST = 1_000_000;
/** Forgotten per take: more than one, so that they shrink. */
const FORGOTTEN_PER_TAKE = 4;

const takeSchema = z
  .object({
    name: nameSchema,
    permits: z.number().int().min(1).max(BURST_LIMIT),
    ratePerSecond: z.number().min(RATE_LEAST).max(RATE_MOST),
    burst: z.number().int().min(1).max(BURST_LIMIT),
  })
  .refine(({ permits, burst }) => permits <= burst, {
    path: ['permits'],
    error: 'more than the burst can never be had',
  });

export interface Taken {
  readonly allowed: boolean;
  /** Permits that could be taken now. */
  readonly remaining: number;
  /** Until as many could be had again; 0 when allowed. Unit: ms of group time. */
  readonly retryAfterMs: number;
}

/** What is known of a bucket is one instant of group time: when it will be full again. */
export interface Bucket {
  readonly fullAtMs: number;
}

/**
 * Takes from a bucket that refills by `ratePerSecond` up to `burst`.
 *
 * - B1 In any span of t seconds at most `burst + t x ratePerSecond` permits are given.
 * - B2 What is refused costs nothing. A bucket that was emptied at a slower rate, or had a larger burst, is taken for empty by the new ones and fills
 *   up from then on.
 */
export function take(
  bucket: Bucket | undefined,
  { permits, ratePerSecond, burst }: Omit<z.infer<typeof takeSchema>, 'name'>,
  nowMs: number,
): { readonly taken: Taken; readonly bucket: Bucket } {
  const permitMs = 1_000 / ratePerSecond;
  const wholeMs = burst * permitMs;
  const fullAtMs = Math.max(nowMs, Math.min(bucket?.fullAtMs ?? nowMs, nowMs + wholeMs));
  const nextMs = fullAtMs + permits * permitMs;
  const lackingMs = nextMs - wholeMs - nowMs;
  const allowed = lackingMs <= ROUNDING_MS;
  const after = allowed ? nextMs : fullAtMs; // B2
  const remaining = Math.max(0, Math.floor((nowMs + wholeMs - after) / permitMs + ROUNDING_MS));
  return {
    taken: { allowed, remaining, retryAfterMs: allowed ? 0 : Math.ceil(lackingMs) },
    bucket: { fullAtMs: after },
  };
}

/** Sums of thirds and the like may miss a whole number by less than this. */
const ROUNDING_MS = 1e-6;

/**
 * Limits of how often something is done in the whole mesh, in group time.
 *
 * - B3 The index by the instant of being full holds each bucket once; a full one is the same as none.
 */
export const rateLimitsModule: MachineModule = {
  name: 'ratelimits',
  tables: ['buckets', 'full', 'counts'],
  commands: { take: { since: 1, parse: parseWith(takeSchema), apply: applyTake } },
  queries: {},
};

function applyTake({ name, ...wish }: z.infer<typeof takeSchema>, context: ApplyContext): Taken {
  forgetFull(context);
  const table = context.table<Bucket>('buckets');
  const before = table.get(textKey(name));
  const { taken, bucket } = take(before, wish, context.groupMs);
  if (!taken.allowed && bucket.fullAtMs >= (before?.fullAtMs ?? 0)) return taken;
  if (before === undefined) count(context, 1);
  else context.table<1>('full').delete(fullKey(name, before));
  table.put(textKey(name), bucket);
  context.table<1>('full').put(fullKey(name, bucket), 1); // B3
  return taken;
}

/** B3 */
function forgetFull(context: ApplyContext): void {
  const range = { to: numberKey(context.groupMs + 1), limit: FORGOTTEN_PER_TAKE };
  for (const [key] of [...context.table<1>('full').range(range)]) {
    context.table<1>('full').delete(key);
    context.table<Bucket>('buckets').delete(key.slice(8));
    count(context, -1);
  }
}

function fullKey(name: string, { fullAtMs }: Bucket): string {
  return numberKey(Math.ceil(fullAtMs)) + textKey(name);
}

/** @throws AspenError RESOURCE_EXHAUSTED */
function count(context: ApplyContext, change: 1 | -1): void {
  const table = context.table<number>('counts');
  const there = table.get('buckets') ?? 0;
  if (change > 0 && there >= RATE_LIMITS_LIMIT) {
    const limit = { name: 'RATE_LIMITS_LIMIT', most: RATE_LIMITS_LIMIT };
    throw exhausted(`there are ${there} limits in use`, limit);
  }
  table.put('buckets', there + change);
}
