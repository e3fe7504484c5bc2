import type { AttemptOutcome, AttemptRecord, JobError, JobRecord, JobState } from './record.ts';
import type { JobSpec } from './spec.ts';

/** A job as the interface shows it. Instants are wall time in ms since 1970. */
export interface JobView {
  readonly id: string;
  readonly spec: Record<string, unknown>;
  readonly state: JobState;
  readonly attempt: number;
  /** Where the latest attempt runs or ran. */
  readonly node: string | null;
  readonly fencingToken: number | null;
  /** Of a group that runs: its members by rank; absent otherwise. */
  readonly members?: { readonly node: string; readonly outcome: AttemptOutcome | null }[];
  readonly submittedAt: number;
  /** Start of the latest attempt. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly result: unknown;
  readonly error: JobError | null;
  readonly cancelReason: string | null;
  /** Attempts that have ended, oldest first; the latest 50. */
  readonly history: ({ [field: string]: unknown } & AttemptRecord)[];
}

export function jobView(record: JobRecord): JobView {
  const latest = record.running ?? record.history.at(-1) ?? null;
  return {
    id: record.id,
    spec: specView(record.spec),
    state: record.state,
    attempt: record.attempt,
    node: latest?.node ?? null,
    fencingToken: latest?.fencingToken ?? null,
    ...(record.running?.group && {
      members: record.running.group.members.map(({ node, outcome }) => ({ node, outcome })),
    }),
    submittedAt: record.submittedAt,
    startedAt: latest?.startedAt ?? null,
    finishedAt: record.finishedAt,
    result: record.result,
    error: record.error,
    cancelReason: record.cancelReason,
    history: record.history.map((attempt) => ({ ...attempt })),
  };
}

/** The spec in the words of the interface. Outcomes of commands hold it: what old entries came to must not change (A5), so nothing is filled in here. */
export function specView({
  runAtMs,
  hold,
  queueTimeoutMs,
  heartbeatTimeoutMs,
  deadlineAtMs,
  dependsOn,
  onDependencyFailure,
  group,
  ...spec
}: JobSpec): Record<string, unknown> {
  return {
    ...spec,
    ...(runAtMs !== null && { runAt: runAtMs }),
    ...(queueTimeoutMs !== null && { queueTimeoutMs }),
    ...(heartbeatTimeoutMs !== null && { heartbeatTimeoutMs }),
    ...(deadlineAtMs !== null && { deadlineAt: deadlineAtMs }),
    ...(group !== null && { group }),
    ...(dependsOn.length > 0 && { dependsOn, onDependencyFailure }),
    offline: hold === 'keep' ? 'keep' : { holdMs: hold },
  };
}
