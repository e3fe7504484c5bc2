import { freshRecord } from '../fresh-record.ts';
import type { ApplyContext, Derived } from '../machine-port.ts';
import { starting } from '../moves.ts';
import { isFinal, type JobRecord, type JobState } from '../record.ts';
import { type JobSpec, PLAIN_SPEC } from '../spec.ts';
import type { Tallies } from '../tallies.ts';
import { afterFailure, afterSuccess, type Breaker } from './breaker.ts';
import { DELIVERY_TYPE, HOOK_WAITING_LIMIT, type Hook, type HookEvent } from './hook.ts';
import { type HasHooks, putHook } from './hook-book.ts';
import { isSenderFault } from './sender-faults.ts';

export { DELIVERY_TYPE };

/** What the ids of deliveries begin with; no other job may have such an id. */
export const DELIVERY_ID_PREFIX = 'job_hk_';

/** Beyond the places of jobs that the same command submits. */
const FIRST_OFFSET = 1_000_000;

/** What deliveries have in common. Each is written down with its job, so that a later version may choose otherwise. */
const DELIVERY_SPEC: Omit<JobSpec, 'payload' | 'queue'> = Object.freeze({
  ...PLAIN_SPEC,
  type: DELIVERY_TYPE,
  retry: Object.freeze({
    maxAttempts: 15,
    backoff: 'exponential',
    delayMs: 1_000,
    maxDelayMs: 10 * 60_000,
    jitter: 'full',
    nonRetryableExitCodes: Object.freeze([]),
  }),
  timeoutMs: 60_000,
  retentionMs: 3_600_000,
});

/** What is delivered, beside the number of the attempt. Instants are wall time. */
export interface HookEventBody {
  /** The same for each attempt to deliver it: receivers tell by it what they have seen. */
  readonly id: string;
  readonly type: HookEvent | 'hook.test';
  readonly at: number;
  /** Null in a test. */
  readonly job: EventJob | null;
}

export interface EventJob {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: JobState;
  readonly attempt: number;
  readonly node: string | null;
  readonly submittedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean } | null;
}

export interface DeliveryPayload {
  readonly hook: string;
  readonly event: HookEventBody;
}

/** What the index in memory knows for this. */
interface Index extends HasHooks, Derived {
  readonly tallies: Pick<Tallies, 'ofQueue'>;
  /** @returns 0 for the first job that the present command makes by itself, and so on. */
  countMade(): number;
}

/**
 * What follows for hooks from the move of a job. Called for each, but only while there are hooks.
 *
 * - E1 A job that comes to its end has, in the same command, one delivery for each hook that asks for it, or is counted as dropped there.
 * - E2 No end of a delivery is an event.
 * - E6 An attempt that the sending node is to blame for says nothing of the receiver, and costs the delivery none of its attempts.
 * @returns jobs to be put down, new ones.
 */
export function afterMove(
  context: ApplyContext,
  record: JobRecord,
  before: JobRecord | undefined,
): readonly JobRecord[] {
  if (record.spec.type === DELIVERY_TYPE) {
    if (before !== undefined && before.running !== null && record.running === null)
      noteAttempt(context, record);
    return []; // E2
  }
  if (!isFinal(record.state) || (before !== undefined && isFinal(before.state))) return [];
  const index = context.derived<Index>();
  return index.hooks.all().flatMap((hook) => {
    if (!isAsked(hook, record)) return [];
    const body = eventOf(record, context, index.countMade());
    const isFull = index.tallies.ofQueue(hook.id).waiting >= HOOK_WAITING_LIMIT;
    if (!isFull) return [deliveryOf(hook, body, context)];
    putHook(context, index.hooks, { ...hook, droppedCount: hook.droppedCount + 1 });
    return [];
  });
}

/** A delivery that says nothing of a job, to see whether the receiver is there. */
export function testDelivery(hook: Hook, context: ApplyContext): JobRecord {
  const index = context.derived<Index>();
  const made = index.countMade();
  const body = {
    id: `evt_${nameOf(context, made)}`,
    type: 'hook.test',
    at: context.wallMs,
    job: null,
  } as const;
  return deliveryOf(hook, { body, made }, context);
}

/** The breaker of its hook learns from each attempt that was made; one that was lost, or that its own node is to blame for, says nothing of the receiver. */
function noteAttempt(context: ApplyContext, record: JobRecord): void {
  const { hooks } = context.derived<Index>();
  const hook = hooks.find(record.spec.queue);
  const attempt = record.history.at(-1);
  if (hook === undefined || attempt === undefined) return;
  if (attempt.outcome === 'succeeded') change(afterSuccess(hook), null);
  else if (attempt.outcome === 'failed' && !isSenderFault(record, attempt.error))
    // E6
    change(afterFailure(hook, context.groupMs), {
      message: (attempt.error?.message ?? '').slice(0, MESSAGE_LENGTH),
      at: context.wallMs,
    });

  function change(breaker: Breaker, lastError: Hook['lastError']): void {
    const { failureCount, openingCount, openUntilMs } = breaker;
    if (breaker === hook || hook === undefined) return;
    putHook(context, hooks, {
      ...hook,
      ...{ failureCount, openingCount, openUntilMs },
      lastError: lastError ?? hook.lastError,
    });
  }
}

const MESSAGE_LENGTH = 512;

function isAsked({ on, type, queue, labels }: Hook, { spec, state }: JobRecord): boolean {
  if (!on.includes(`job.${state}` as HookEvent)) return false;
  if ((type ?? spec.type) !== spec.type || (queue ?? spec.queue) !== spec.queue) return false;
  return Object.entries(labels).every(([name, value]) => spec.labels[name] === value);
}

interface MadeEvent {
  readonly body: HookEventBody;
  readonly made: number;
}

function eventOf(record: JobRecord, context: ApplyContext, made: number): MadeEvent {
  const { id, spec, state, attempt, submittedAt, finishedAt, error, history } = record;
  const last = history.at(-1);
  const job: EventJob = {
    id,
    type: spec.type,
    queue: spec.queue,
    namespace: spec.namespace,
    labels: spec.labels,
    state,
    attempt,
    node: last?.node ?? null,
    submittedAt,
    startedAt: last?.startedAt ?? null,
    finishedAt,
    error: error && { code: error.code, message: error.message, retryable: error.retryable },
  };
  const body: HookEventBody = {
    id: `evt_${nameOf(context, made)}`,
    type: `job.${state}` as HookEvent,
    at: context.wallMs,
    job,
  };
  return { body, made };
}

function deliveryOf(hook: Hook, { body, made }: MadeEvent, context: ApplyContext): JobRecord {
  const payload: DeliveryPayload = { hook: hook.id, event: body };
  const id = DELIVERY_ID_PREFIX + nameOf(context, made);
  const spec = { ...DELIVERY_SPEC, payload, queue: hook.id, affinity: affinityOf(hook) };
  const fresh = freshRecord({ id, spec, offset: FIRST_OFFSET + made }, context);
  return starting(fresh, context);
}

/** E5 A signed delivery goes to a node that may read what it is signed with. */
function affinityOf({ secretName }: Hook): JobSpec['affinity'] {
  const { affinity } = DELIVERY_SPEC;
  return secretName === null ? affinity : { ...affinity, secrets: [secretName] };
}

/** Unlike that of anything else that any command makes. */
function nameOf({ position }: ApplyContext, made: number): string {
  return `${position.toString(36)}_${made.toString(36)}`;
}
