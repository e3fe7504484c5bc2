import { takePermits } from '../lease/machine/index.ts';
import { DELIVERY_TYPE } from './hooks/deliveries.ts';
import { holdDelivery } from './hooks/hold-delivery.ts';
import type { LimitBook, Limits, Scope } from './limits.ts';
import { burstOf, limitsKey, pauseText } from './limits.ts';
import type { Buckets, Held, Limited, Running, StartRules } from './start-rules.ts';

/**
 * Whether one more attempt may start now. Asked by the leader before it proposes, and again in `apply`, where the answer binds.
 *
 * - Q3 No start makes a queue, a key within it, or a namespace run more than its limit. A limit that is lowered ends nothing: nothing
 *   starts until enough has ended.
 * - Q4 In any t seconds of group time at most burst + t x ratePerSecond attempts start, retries included.
 * - Q5 Nothing of a paused queue starts.
 * - E4 Nothing of a hook that is paused, or whose circuit is open, is delivered; one delivery at a time where it is half-open.
 */
export function heldBack(job: Limited, rules: StartRules): Held | undefined {
  const { limits, running, hooks } = rules;
  const heldByHook = job.type === DELIVERY_TYPE ? holdDelivery(hooks.find(job.queue), rules) : undefined;
  if (heldByHook !== undefined || limits.size === 0) return heldByHook;
  const queue = limits.of('queue', job.queue);
  if (queue.paused !== null)
    return { by: 'pause', reason: pauseText(job.queue, queue.paused), retryAfterMs: null };
  const inQueue = queue.concurrency === null ? 0 : running.ofQueue(job.queue).running;
  if (queue.concurrency !== null && inQueue >= queue.concurrency)
    return full('concurrency', `limit of queue ${job.queue}`, inQueue, queue.concurrency);
  const namespace = limits.of('namespace', job.namespace);
  const inNamespace = namespace.concurrency === null ? 0 : running.ofNamespace(job.namespace).running;
  if (namespace.concurrency !== null && inNamespace >= namespace.concurrency)
    return full('namespace', `limit of namespace ${job.namespace}`, inNamespace, namespace.concurrency);
  return heldByKey(job, queue, running) ?? heldByRate(job, rules);
}

/** Takes what a start costs. To be called once {@link heldBack} found nothing. */
export function spendStart(job: Limited, limits: LimitBook, buckets: Buckets, groupMs: number): void {
  if (limits.size === 0) return;
  for (const [scope, name] of ratedBy(job)) {
    const rate = rateOf(limits.of(scope, name));
    if (rate === undefined) continue;
    const key = limitsKey(scope, name);
    buckets.put(key, takePermits(buckets.get(key), rate, groupMs).bucket);
  }
}

function heldByKey(
  { queue, concurrencyKey }: Limited,
  { perKey }: Limits,
  running: Running,
): Held | undefined {
  if (perKey === null || concurrencyKey === null) return undefined;
  const ofKey = running.runningOfKey(queue, concurrencyKey);
  if (ofKey < perKey) return undefined;
  return full('key', `limit of key ${concurrencyKey} in queue ${queue}`, ofKey, perKey);
}

function heldByRate(job: Limited, { limits, buckets, groupMs }: StartRules): Held | undefined {
  for (const [scope, name] of ratedBy(job)) {
    const rate = rateOf(limits.of(scope, name));
    if (rate === undefined) continue;
    const { taken } = takePermits(buckets.get(limitsKey(scope, name)), rate, groupMs);
    if (taken.allowed) continue;
    const { retryAfterMs } = taken;
    return { by: 'rate', reason: `rate of ${scope} ${name}: next in ${retryAfterMs} ms`, retryAfterMs };
  }
  return undefined;
}

function ratedBy({ queue, type }: Limited): readonly (readonly [scope: Scope, name: string])[] {
  return [
    ['queue', queue],
    ['type', type],
  ];
}

function rateOf(limits: Limits) {
  if (limits.ratePerSecond === null) return undefined;
  return { permits: 1, ratePerSecond: limits.ratePerSecond, burst: burstOf(limits) };
}

function full(by: Held['by'], what: string, running: number, limit: number): Held {
  return { by, reason: `${what}: ${running} of ${limit} run`, retryAfterMs: null };
}
