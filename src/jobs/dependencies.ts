import type { ApplyContext } from './machine-port.ts';
import { ended, starting } from './moves.ts';
import type { JobError, JobRecord, JobState } from './record.ts';
import { isFinal } from './record.ts';
import type { Dependency, DependencyOn } from './spec.ts';

/** What the end of a parent means to one who waits for it; `never` is the success of a parent whose failure was waited for. */
type Verdict = 'wait' | 'met' | 'failed' | 'never';

/** @param state of the parent. */
export function judge(on: DependencyOn, state: JobState): Verdict {
  if (!isFinal(state)) return 'wait';
  if (on === 'any') return 'met';
  if (on === 'success') return state === 'succeeded' ? 'met' : 'failed';
  return state === 'dead' || state === 'cancelled' ? 'met' : 'never';
}

/**
 * Takes the end of parents into a job that waits for them.
 *
 * - D1 A job with dependencies is ready only when each of them was met, or is overlooked by its own policy; which are open is part of the
 *   record, and a parent that runs once more decides nothing twice.
 *
 * @param stateOf how a parent ended; undefined for one that is not looked at now.
 * @returns the record itself where nothing changes.
 */
export function afterParents(
  record: JobRecord,
  stateOf: (parent: string) => JobState | undefined,
  context: ApplyContext,
): JobRecord {
  const { dependsOn, onDependencyFailure: policy } = record.spec;
  const open: number[] = [];
  for (const [order, at] of record.unmet.entries()) {
    const { id, on } = dependsOn[at] as Dependency;
    const state = stateOf(id);
    const verdict = state === undefined ? 'wait' : judge(on, state);
    if (verdict === 'met' || (policy === 'continue' && verdict !== 'wait')) continue;
    if (verdict === 'wait' || (policy === 'block' && verdict === 'failed')) open.push(at);
    else {
      const isDeath = policy === 'fail' && verdict === 'failed';
      const unmet = [...open, ...record.unmet.slice(order)]; // what was met before it is met in the record, too
      return ended(
        { ...record, unmet },
        isDeath ? 'dead' : 'skipped',
        dependencyError(id, on, state as JobState),
        context,
      );
    }
  }
  if (open.length > 0 && open.length === record.unmet.length) return record;
  const after = { ...record, unmet: open };
  return open.length > 0 || record.state === 'paused' ? after : starting(after, context);
}

function dependencyError(parent: string, on: DependencyOn, state: JobState): JobError {
  const message =
    on === 'failure' ? `${parent} is ${state}; this job runs only when it fails` : `${parent} is ${state}`;
  return { code: 'DEPENDENCY_FAILED', message, retryable: false };
}
