import { isDeepStrictEqual } from 'node:util';
import { InvariantError, type PeerId } from '../base/index.ts';
import {
  type AttemptRecord,
  type GroupMember,
  type IndexedRecord,
  isFinal,
  type JobRecord,
  type JobState,
  type RunningAttempt,
  type RunningGroup,
} from './record.ts';
import {
  type Affinity,
  type Dependency,
  type FailurePolicy,
  type IndexedSpec,
  isOrdinary,
  type JobSpec,
  type RetryPolicy,
  SPEC_BASE,
} from './spec.ts';

/**
 * Specs and records as lists of fields, for the log, the tables and the wire: names would make up most of a record. What equals the base
 * is null. The order of the fields is for ever; new ones go to the end, and are absent from lists that were written before them.
 */
export type PackedSpec = readonly unknown[];
export type PackedRecord = readonly unknown[];

/** One list for all records without open dependencies, so that a change is told by identity. */
export const NOTHING_UNMET: readonly number[] = Object.freeze([]);

export function packSpec(spec: JobSpec): PackedSpec {
  const { retry, affinity, labels } = spec;
  const packed = [
    spec.type,
    spec.payload,
    spec.idempotencyKey,
    spec.queue === SPEC_BASE.queue ? null : spec.queue,
    spec.priority,
    spec.runAtMs,
    spec.delayMs,
    spec.timeoutMs,
    isSame(retry, SPEC_BASE.retry) ? null : retry,
    isSame(affinity, SPEC_BASE.affinity) ? null : affinity,
    spec.hold,
    isSame(labels, SPEC_BASE.labels) ? null : labels,
    spec.traceparent,
    spec.retentionMs,
    spec.namespace === SPEC_BASE.namespace ? null : spec.namespace,
    spec.concurrencyKey,
  ];
  return asksForRare(spec) ? [...packed, ...packRare(spec)] : packed;
}

/** What few jobs ask for stands at the end, and most lists end before it. */
function packRare(spec: JobSpec): PackedSpec {
  return [
    spec.queueTimeoutMs,
    spec.heartbeatTimeoutMs,
    spec.deadlineAtMs,
    spec.dependsOn.length === 0 ? null : spec.dependsOn.map(({ id, on }) => [id, on]),
    spec.onDependencyFailure,
    ...(spec.group === null ? [] : [spec.group.nodes]),
  ];
}

function asksForRare(spec: JobSpec): boolean {
  return (
    spec.dependsOn.length > 0 ||
    spec.group !== null ||
    spec.queueTimeoutMs !== null ||
    spec.heartbeatTimeoutMs !== null ||
    spec.deadlineAtMs !== null ||
    spec.onDependencyFailure !== SPEC_BASE.onDependencyFailure
  );
}

/** The shape is not checked here: `checkedSpec` does so for what comes from elsewhere. */
export function unpackSpec(packed: PackedSpec): JobSpec {
  return {
    type: packed[0] as string,
    payload: packed[1],
    idempotencyKey: packed[2] as string | null,
    queue: (packed[3] as string | null) ?? SPEC_BASE.queue,
    priority: packed[4] as number,
    runAtMs: packed[5] as number | null,
    delayMs: packed[6] as number,
    timeoutMs: packed[7] as number | null,
    retry: (packed[8] as RetryPolicy | null) ?? SPEC_BASE.retry,
    affinity: (packed[9] as Affinity | null) ?? SPEC_BASE.affinity,
    hold: packed[10] as JobSpec['hold'],
    labels: (packed[11] as JobSpec['labels'] | null) ?? SPEC_BASE.labels,
    traceparent: packed[12] as string | null,
    retentionMs: packed[13] as number,
    namespace: (packed[14] as string | null | undefined) ?? SPEC_BASE.namespace,
    concurrencyKey: (packed[15] as string | null | undefined) ?? null,
    queueTimeoutMs: (packed[16] as number | null | undefined) ?? null,
    heartbeatTimeoutMs: (packed[17] as number | null | undefined) ?? null,
    deadlineAtMs: (packed[18] as number | null | undefined) ?? null,
    dependsOn: unpackDependencies(packed[19]),
    onDependencyFailure: (packed[20] as FailurePolicy | undefined) ?? SPEC_BASE.onDependencyFailure,
    group: packed[21] === undefined ? null : { nodes: packed[21] as number },
  };
}

/** What is no list of pairs is left as it is, for `checkedSpec` to refuse. */
function unpackDependencies(packed: unknown): JobSpec['dependsOn'] {
  if (packed === null || packed === undefined) return SPEC_BASE.dependsOn;
  if (!Array.isArray(packed)) return packed as JobSpec['dependsOn'];
  return packed.map((edge: unknown) => {
    const [id, on] = Array.isArray(edge) ? edge : [];
    return { id, on } as Dependency;
  });
}

/** Everything but the id, which is the key, and the spec, which never changes and has a table of its own. */
export function packRecord(record: JobRecord): PackedRecord {
  const packed = [
    record.state,
    record.position,
    record.offset,
    record.submittedAt,
    record.attempt,
    record.running === null ? null : packRunning(record.running),
    record.dueGroupMs,
    record.failureCount,
    record.lossCount,
    record.finishedAt,
    record.expiresGroupMs,
    record.result,
    record.error,
    record.cancelReason,
    record.history.length === 0 ? null : record.history.map(packAttempt),
    record.readyGroupMs,
    record.specBytes,
  ];
  if (record.unmet.length > 0 || record.ending !== null)
    return [...packed, record.unmet.length === 0 ? null : record.unmet, record.ending];
  return !isFinal(record.state) && isOrdinary(record.spec) ? [...packed, null, null, true] : packed;
}

/** Whether the row says that its spec is an ordinary one: what makes indexes anew does without it then. Absent from rows written before. */
export function saysOrdinary(packed: PackedRecord): boolean {
  return packed[19] === true;
}

/** @throws InvariantError: what is stored was written by this module. */
export function unpackRecord<S extends IndexedSpec>(
  id: string,
  spec: S,
  packed: PackedRecord,
): IndexedRecord<S> {
  if (!Array.isArray(packed)) throw new InvariantError(`the record of ${id} is not a list`);
  return {
    id,
    spec,
    state: packed[0] as JobState,
    position: packed[1] as number,
    offset: packed[2] as number,
    submittedAt: packed[3] as number,
    attempt: packed[4] as number,
    running: packed[5] === null ? null : unpackRunning(packed[5] as readonly unknown[]),
    dueGroupMs: packed[6] as number | null,
    failureCount: packed[7] as number,
    lossCount: packed[8] as number,
    finishedAt: packed[9] as number | null,
    expiresGroupMs: packed[10] as number | null,
    result: packed[11],
    error: packed[12] as JobRecord['error'],
    cancelReason: packed[13] as string | null,
    history: ((packed[14] as readonly (readonly unknown[])[] | null) ?? []).map(unpackAttempt),
    readyGroupMs: (packed[15] as number | null | undefined) ?? null,
    specBytes: (packed[16] as number | undefined) ?? 0,
    unmet: (packed[17] as readonly number[] | null | undefined) ?? NOTHING_UNMET,
    ending: (packed[18] as JobRecord['ending'] | undefined) ?? null,
  };
}

function packRunning(running: RunningAttempt): readonly unknown[] {
  const { attempt, node, sessionId, fencingToken, startedAt, startedGroupMs, pool, group } = running;
  const fields = [attempt, node, sessionId, fencingToken, startedAt, startedGroupMs];
  if (group !== null) return [...fields, pool, packGroup(group)];
  return pool === null ? fields : [...fields, pool];
}

function unpackRunning(packed: readonly unknown[]): RunningAttempt {
  return {
    attempt: packed[0] as number,
    node: packed[1] as PeerId,
    sessionId: packed[2] as string,
    fencingToken: packed[3] as number,
    startedAt: packed[4] as number,
    startedGroupMs: packed[5] as number,
    pool: (packed[6] as string | null | undefined) ?? null,
    group: packed[7] === undefined ? null : unpackGroup(packed[7] as PackedGroup),
  };
}

type PackedGroup = readonly [
  members: readonly (readonly [GroupMember['node'], string, string | null, GroupMember['outcome']])[],
  verdict: RunningGroup['verdict'],
  result: unknown,
];

function packGroup({ members, verdict, result }: RunningGroup): PackedGroup {
  return [
    members.map(({ node, sessionId, pool, outcome }) => [node, sessionId, pool, outcome]),
    verdict,
    result,
  ];
}

function unpackGroup([members, verdict, result]: PackedGroup): RunningGroup {
  return {
    members: members.map(([node, sessionId, pool, outcome]) => ({ node, sessionId, pool, outcome })),
    verdict,
    result,
  };
}

function packAttempt(past: AttemptRecord): readonly unknown[] {
  const { attempt, node, fencingToken, startedAt, endedAt, outcome, error, nodes } = past;
  const fields = [attempt, node, fencingToken, startedAt, endedAt, outcome, error];
  return nodes === undefined ? fields : [...fields, nodes];
}

function unpackAttempt(packed: readonly unknown[]): AttemptRecord {
  return {
    attempt: packed[0] as number,
    node: packed[1] as PeerId,
    fencingToken: packed[2] as number,
    startedAt: packed[3] as number,
    endedAt: packed[4] as number,
    outcome: packed[5] as AttemptRecord['outcome'],
    error: packed[6] as AttemptRecord['error'],
    ...(packed[7] !== undefined && { nodes: packed[7] as readonly PeerId[] }),
  };
}

function isSame(value: object, base: object): boolean {
  return value === base || isDeepStrictEqual(value, base);
}
