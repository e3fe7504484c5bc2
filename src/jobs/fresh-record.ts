import type { ApplyContext } from './machine-port.ts';
import { NOTHING_UNMET } from './packing.ts';
import type { JobRecord } from './record.ts';
import type { JobSpec } from './spec.ts';

export interface FreshJob {
  readonly id: string;
  readonly spec: JobSpec;
  /** Its place among the jobs of one command. */
  readonly offset: number;
}

/** @returns a job of the present command that waits for all of its dependencies and has seen nothing yet. */
export function freshRecord({ id, spec, offset }: FreshJob, { position, wallMs }: ApplyContext): JobRecord {
  return {
    id,
    spec,
    state: 'blocked',
    position,
    offset,
    submittedAt: wallMs,
    attempt: 0,
    running: null,
    dueGroupMs: null,
    readyGroupMs: null,
    specBytes: 0,
    failureCount: 0,
    lossCount: 0,
    finishedAt: null,
    expiresGroupMs: null,
    result: null,
    error: null,
    cancelReason: null,
    history: [],
    unmet: spec.dependsOn.length === 0 ? NOTHING_UNMET : spec.dependsOn.map((_, at) => at),
    ending: null,
  };
}
