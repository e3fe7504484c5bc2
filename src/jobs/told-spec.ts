import { isDeepStrictEqual } from 'node:util';
import { specView } from './job-view.ts';
import { type JobSpec, PLAIN_SPEC } from './spec.ts';

/** What a job asked for beside the defaults, in the words of the interface. */
export type ToldSpec = Readonly<Record<string, unknown>>;

/** An assignment has fields of its own for these. */
const TOLD_ANYWAY: ReadonlySet<string> = new Set([
  'type',
  'payload',
  'timeoutMs',
  'heartbeatTimeoutMs',
  'traceparent',
]);
const PLAIN_VIEW = specView(PLAIN_SPEC);

/**
 * What an attached worker is told of a spec beside type, payload, limits and trace context.
 * @returns undefined where nothing was asked for, which is most jobs: they are told by their looks, without a thing made.
 */
export function toldSpec(spec: JobSpec): ToldSpec | undefined {
  if (asksForNothing(spec)) return undefined;
  const told = Object.entries(specView(spec)).filter(
    ([field, value]) => !TOLD_ANYWAY.has(field) && !isDeepStrictEqual(value, PLAIN_VIEW[field]),
  );
  return told.length === 0 ? undefined : Object.fromEntries(told);
}

function asksForNothing(spec: JobSpec): boolean {
  return (
    spec.labels === PLAIN_SPEC.labels &&
    spec.retry === PLAIN_SPEC.retry &&
    spec.affinity === PLAIN_SPEC.affinity &&
    spec.idempotencyKey === null &&
    spec.queue === PLAIN_SPEC.queue &&
    spec.namespace === PLAIN_SPEC.namespace &&
    spec.priority === PLAIN_SPEC.priority &&
    spec.concurrencyKey === null &&
    spec.runAtMs === null &&
    spec.delayMs === 0 &&
    spec.deadlineAtMs === null &&
    spec.queueTimeoutMs === null &&
    spec.dependsOn.length === 0 &&
    spec.group === null &&
    spec.hold === PLAIN_SPEC.hold &&
    spec.retentionMs === PLAIN_SPEC.retentionMs
  );
}
