import type { HookEventBody } from '../../../src/jobs/index.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext } from '../../../src/lease/machine/index.ts';
import type { TouchedJob } from './touched-jobs.ts';

const DELIVERY = 'hook.deliver';
const FINAL: ReadonlySet<string> = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

/** A row of the table of hooks, as far as the law speaks of it. */
interface HookRow {
  readonly id: string;
  readonly on: readonly string[];
  readonly type: string | null;
  readonly paused: unknown;
  readonly droppedCount: number;
}

/** Hooks: each end of a job is told to each hook that asks for it, in the same command, and nothing else is told of. */
export function toldWrongly(all: readonly TouchedJob[], context: ApplyContext): string[] {
  const hooks = Array.from(context.table<HookRow>('hooks').range({}), ([, hook]) => hook);
  if (hooks.length === 0) return [];
  const ended = all.flatMap(endedIn);
  const wanted = hooks.flatMap((hook) =>
    ended.filter((job) => asks(hook, job)).map(({ id }) => `${hook.id} ${id}`),
  );
  const made = all.flatMap(madeIn);
  return [
    ...wanted.filter((name) => !made.includes(name)).map((name) => `${name}: no delivery tells of the end`),
    ...made.filter((name) => !wanted.includes(name)).map((name) => `${name}: a delivery tells of no end`),
    ...all.flatMap(({ was, is }) => startsHeld(was, is, hooks)),
  ];
}

function endedIn({ was, is }: TouchedJob): JobRecord[] {
  const hasEnded = is !== undefined && FINAL.has(is.state) && !(was !== undefined && FINAL.has(was.state));
  return hasEnded && is.spec.type !== DELIVERY ? [is] : [];
}

function asks({ on, type }: HookRow, { state, spec }: JobRecord): boolean {
  return on.includes(`job.${state}`) && (type === null || type === spec.type);
}

function madeIn({ was, is }: TouchedJob): string[] {
  if (was !== undefined || is?.spec.type !== DELIVERY) return [];
  const { hook, event } = is.spec.payload as { readonly hook: string; readonly event: HookEventBody };
  return [`${hook} ${event.job?.id}`];
}

/** Nothing of a paused hook starts. */
function startsHeld(
  was: JobRecord | undefined,
  is: JobRecord | undefined,
  hooks: readonly HookRow[],
): string[] {
  if (is === undefined || is.running === null || is.spec.type !== DELIVERY) return [];
  if (is.running.fencingToken === was?.running?.fencingToken) return [];
  const hook = hooks.find(({ id }) => id === is.spec.queue);
  return hook === undefined || hook.paused === null ? [] : [`${is.id} begins, but ${hook.id} is paused`];
}
