import { AspenError } from '../base/index.ts';
import type { LiveIndex } from './live-index.ts';
import type { ApplyContext } from './machine-port.ts';
import type { JobSpec } from './spec.ts';

/** Jobs that wait in the whole group unless it was told otherwise: what a leader holds in memory. */
export const WAITING_LIMIT = 2_000_000;
/** When a refused submit is worth another try. Unit: ms. */
const RETRY_AFTER_MS = 1_000;

/**
 * Lets one more job wait, or refuses it.
 *
 * - Q6 A submit that is accepted leaves no queue, no namespace and not the group with more waiting jobs than its limit. What was accepted
 *   once is never refused later: a retry, a released or a given-back job waits whatever the limits are.
 *
 * @throws AspenError RESOURCE_EXHAUSTED with the limit and `retryAfterMs`; nothing was changed.
 */
export function admit(
  { queue, namespace }: Pick<JobSpec, 'queue' | 'namespace'>,
  context: ApplyContext,
): void {
  const { tallies, limits } = context.derived<LiveIndex>();
  const most = limits.of('group', '').maxWaiting ?? WAITING_LIMIT;
  if (tallies.all.waiting >= most) throw refusal('the group', tallies.all.waiting, most, 'WAITING_LIMIT');
  if (limits.size === 0) return;
  const ofQueue = limits.of('queue', queue).maxWaiting;
  if (ofQueue !== null && tallies.ofQueue(queue).waiting >= ofQueue)
    throw refusal(`queue ${queue}`, tallies.ofQueue(queue).waiting, ofQueue, 'queue.maxWaiting');
  const ofNamespace = limits.of('namespace', namespace).maxWaiting;
  if (ofNamespace !== null && tallies.ofNamespace(namespace).waiting >= ofNamespace)
    throw refusal(
      `namespace ${namespace}`,
      tallies.ofNamespace(namespace).waiting,
      ofNamespace,
      'namespace.maxWaiting',
    );
}

function refusal(what: string, waiting: number, most: number, limit: string): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `${what} is full: ${waiting} of ${most} jobs wait`, {
    details: { limit, retryAfterMs: RETRY_AFTER_MS },
  });
}
