import { HISTORY_LIMIT, type JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext, Derived, MachineModule } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';
import { liveRecords, storedRecord, type TouchedJob } from './touched-jobs.ts';

/** Commands between two comparisons of the indexes with a rebuild, which reads every unfinished job. */
const COMPARE_EVERY = 16;
const FINAL: ReadonlySet<string> = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

/** A row of the table of limits, as far as the laws speak of it. */
export interface LimitRow {
  readonly paused?: unknown;
  readonly concurrency?: number;
  readonly perKey?: number;
  readonly maxWaiting?: number;
  readonly maxFinished?: number;
  readonly maxFinishedBytes?: number;
  readonly ratePerSecond?: number;
  readonly burst?: number;
}

export function limitsOf(context: ApplyContext, scope: string, name: string): LimitRow {
  return context.table<LimitRow>('limits').get(`${scope}/${textKey(name)}`) ?? {};
}

/** @returns what a command broke by what it made of one job. */
export function brokenBy(kind: string, { was, is }: TouchedJob, context: ApplyContext): string[] {
  if (is === undefined) return [];
  const isStart = is.running !== null && is.running.fencingToken !== was?.running?.fencingToken;
  return [
    ...rewritesHistory(was, is),
    ...(kind === 'settle' ? countsWrongly(was, is) : []),
    ...(isStart
      ? [
          ...startsInPart(is),
          ...beginsTooEarly(is, context),
          ...triesTooOften(is),
          ...isLostTooOften(is),
          ...startsHeldBack(is, context),
        ]
      : []),
    ...(was === undefined && !FINAL.has(is.state) ? waitsBeyondBounds(is, context) : []),
  ];
}

/** Groups all or none: a job begins on as many nodes as it asks for. */
function startsInPart({ id, spec, running }: JobRecord): string[] {
  const wanted = spec.group?.nodes ?? 1;
  const members = running?.group?.members.map(({ node }) => node) ?? [running?.node];
  const count = new Set(members).size;
  return count === wanted && members.length === wanted
    ? []
    : [`${id} begins on ${count} nodes, not on ${wanted}`];
}

/** Dependents after parents: a job that wants success begins only when those have succeeded, which is for ever. */
function beginsTooEarly({ id, spec }: JobRecord, context: ApplyContext): string[] {
  if (spec.onDependencyFailure === 'continue') return [];
  return spec.dependsOn.flatMap(({ id: parent, on }) => {
    const state = storedRecord(context, parent)?.state;
    const isMet = on !== 'success' || state === undefined || state === 'succeeded';
    return isMet ? [] : [`${id} begins, but its parent ${parent} is ${state}`];
  });
}

/** No run beyond those that the retry policy allows; a redriven job has one. */
function triesTooOften({ id, spec, failureCount }: JobRecord): string[] {
  const { maxAttempts } = spec.retry;
  return failureCount < maxAttempts ? [] : [`${id} begins after ${failureCount} failures of ${maxAttempts}`];
}

/** No run beyond the losses that are forgiven. */
function isLostTooOften({ id, spec, lossCount }: JobRecord): string[] {
  const { maxLosses = 5 } = spec.retry;
  return lossCount <= maxLosses ? [] : [`${id} begins after ${lossCount} losses of ${maxLosses}`];
}

/** Limits never exceeded: counted from the records, after a start of this job, and not from what the module counts. */
function startsHeldBack({ id, spec }: JobRecord, context: ApplyContext): string[] {
  const queue = limitsOf(context, 'queue', spec.queue);
  const namespace = limitsOf(context, 'namespace', spec.namespace);
  const isLimited = [queue.paused, queue.concurrency, queue.perKey, namespace.concurrency].some(
    (limit) => limit !== undefined,
  );
  if (!isLimited) return [];
  const held = liveRecords(context).filter(({ running }) => running !== null);
  const inQueue = held.filter((record) => record.spec.queue === spec.queue);
  const ofKey = inQueue.filter((record) => record.spec.concurrencyKey === spec.concurrencyKey);
  const inNamespace = held.filter((record) => record.spec.namespace === spec.namespace);
  return [
    ...(queue.paused === undefined ? [] : [`${id} begins, but ${spec.queue} is paused`]),
    ...tooMany(`${id} runs: ${spec.queue} has`, inQueue, queue.concurrency),
    ...tooMany(`${id} runs: ${spec.namespace} has`, inNamespace, namespace.concurrency),
    ...(spec.concurrencyKey === null
      ? []
      : tooMany(`${id} runs: ${spec.concurrencyKey} has`, ofKey, queue.perKey)),
  ];
}

/** Bounded queues: what was accepted leaves no more waiting than may. */
function waitsBeyondBounds({ id, spec }: JobRecord, context: ApplyContext): string[] {
  const queue = limitsOf(context, 'queue', spec.queue);
  const namespace = limitsOf(context, 'namespace', spec.namespace);
  if (queue.maxWaiting === undefined && namespace.maxWaiting === undefined) return [];
  const waiting = liveRecords(context).filter(({ running }) => running === null);
  const inQueue = waiting.filter((record) => record.spec.queue === spec.queue);
  const inNamespace = waiting.filter((record) => record.spec.namespace === spec.namespace);
  return [
    ...tooMany(`${id} waits: ${spec.queue} has`, inQueue, queue.maxWaiting),
    ...tooMany(`${id} waits: ${spec.namespace} has`, inNamespace, namespace.maxWaiting),
  ];
}

function tooMany(what: string, records: readonly JobRecord[], most: number | undefined): string[] {
  if (most === undefined || records.length <= most) return [];
  return [`${what} ${records.length}, not ${most}`];
}

/** An attempt that failed counts once, and what ends counts no more. */
function countsWrongly(was: JobRecord | undefined, is: JobRecord): string[] {
  const counted = is.failureCount - (was?.failureCount ?? 0);
  const known = was?.history.at(-1)?.fencingToken ?? 0;
  const ended = is.history.filter(({ fencingToken }) => fencingToken > known).length;
  return counted > ended ? [`${is.id} counts ${counted} failures of ${ended} attempts`] : [];
}

/** One outcome per attempt: what is in the history stays as it is until the oldest leave it, and no attempt is there twice. */
function rewritesHistory(was: JobRecord | undefined, is: JobRecord): string[] {
  const told = new Map(is.history.map((past) => [`${past.attempt}/${past.fencingToken}`, past]));
  if (told.size !== is.history.length)
    return [`${is.id} has an attempt twice: ${[...told.keys()].join(' ')}`];
  const isFull = is.history.length === HISTORY_LIMIT;
  return (was?.history ?? []).flatMap((past) => {
    const name = `${past.attempt}/${past.fencingToken}`;
    const now = told.get(name);
    if ((now === undefined && isFull) || JSON.stringify(now) === JSON.stringify(past)) return [];
    return [`${is.id} says of ${name} ${JSON.stringify(now)}, and said ${JSON.stringify(past)}`];
  });
}

interface Described extends Derived {
  describe(): unknown;
}

/** What is kept in memory is what a replica that starts now would make of the tables. */
export function indexDiffers({ derive }: MachineModule, context: ApplyContext): string[] {
  if (derive === undefined || context.position % COMPARE_EVERY !== 0) return [];
  const kept = JSON.stringify(context.derived<Described>().describe());
  const anew = JSON.stringify((derive(context) as Described).describe());
  return kept === anew ? [] : [`the indexes in memory differ from a rebuild: ${kept} instead of ${anew}`];
}
