import { isFinal, type JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext } from '../../../src/lease/machine/index.ts';
import { limitsOf } from './job-laws.ts';
import type { TouchedJob } from './touched-jobs.ts';

/** What time makes due is done no sooner: durations count in group time, instants in the wall time of the command. @returns what a command broke. */
export function doneTooSoon(kind: string, { was, is }: TouchedJob, context: ApplyContext): string[] {
  if (was === undefined) return [];
  if (kind === 'release' && is !== undefined)
    return [...readyTooSoon(was, is, context), ...endsTooSoon(was, is, context)];
  if (kind === 'purge' && is === undefined) return removedTooSoon(was, context);
  return [];
}

/** Delays, pauses between attempts, and planned instants. */
function readyTooSoon(was: JobRecord, is: JobRecord, { groupMs, wallMs }: ApplyContext): string[] {
  if (was.state !== 'scheduled' || is.state !== 'queued') return [];
  const { runAtMs } = was.spec;
  const earlyMs = was.dueGroupMs === null ? (runAtMs ?? wallMs) - wallMs : was.dueGroupMs - groupMs;
  return earlyMs > 0 ? [`${is.id} is ready ${earlyMs} ms before it is due`] : [];
}

function endsTooSoon(was: JobRecord, is: JobRecord, { groupMs, wallMs }: ApplyContext): string[] {
  const code = (is.state === 'cancelling' ? is.ending : is.error)?.code;
  const isEnd = was.state !== is.state && (is.state === 'cancelling' || isFinal(is.state));
  if (!isEnd) return [];
  const { deadlineAtMs } = is.spec;
  if (code === 'QUEUE_TIMEOUT' && (was.dueGroupMs ?? Number.POSITIVE_INFINITY) > groupMs)
    return [`${is.id} ends, having waited too long, before ${was.dueGroupMs}`];
  if (code === 'DEADLINE' && (deadlineAtMs ?? Number.POSITIVE_INFINITY) > wallMs)
    return [`${is.id} ends by its deadline before ${deadlineAtMs}`];
  return [];
}

/** A queue, or the group, that keeps no more than so many may remove the oldest at any time. */
function removedTooSoon(was: JobRecord, context: ApplyContext): string[] {
  if (!isFinal(was.state)) return [`${was.id} is removed while it is ${was.state}`];
  const isCounted = [limitsOf(context, 'queue', was.spec.queue), limitsOf(context, 'group', '')].some(
    ({ maxFinished, maxFinishedBytes }) => maxFinished !== undefined || maxFinishedBytes !== undefined,
  );
  const untilMs = was.expiresGroupMs ?? Number.POSITIVE_INFINITY;
  return isCounted || untilMs <= context.groupMs
    ? []
    : [`${was.id} is removed ${untilMs - context.groupMs} ms too soon`];
}
