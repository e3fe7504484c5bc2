import { afterParents } from './dependencies.ts';
import { type LiveIndex, SEPARATOR } from './live-index.ts';
import { type ApplyContext, type Key, numberKey, type QueryContext, textKey } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { findRecord, putRecord } from './record-store.ts';

/** Dependents that one command looks at; the rest follows with the next upkeep. */
export const CASCADE_LIMIT = 1_000;

/** The end of a parent, with what is left to tell: dependents after `after`, in the order of their ids. */
interface Cascade {
  readonly parent: string;
  readonly state: JobState;
  readonly after: string;
  /** By the parent's id, then the position of the command in which it ended: ends of one parent are told in their order. */
  readonly key: Key;
}

/** How it is kept between two commands. */
type StoredCascade = readonly [parent: string, state: JobState, after: string];

/**
 * Writes a record down and, where it became final, tells the jobs that wait for it: in the same command, and through all who end because of
 * that.
 *
 * - D2 No command looks at more than {@link CASCADE_LIMIT} dependents. Whom it did not reach is told by upkeep, of the end as it was then,
 *   also when the parent has begun to run once more, or has ended once more: that is told when everybody was told of the end before.
 */
export function moveRecord(context: ApplyContext, after: JobRecord, before: JobRecord | undefined): void {
  putRecord(context, after, before);
  if (!isFinal(after.state) || !context.derived<LiveIndex>().hasDependents(after.id)) return;
  tell([endOf(after, context)], context);
}

/** Goes on where earlier commands stopped. */
export function continueCascades(context: ApplyContext): void {
  const table = context.table<StoredCascade>('cascades');
  const stored = [...table.range({ limit: CASCADE_LIMIT })];
  for (const [key] of stored) table.delete(key);
  tell(
    stored.map(([key, [parent, state, after]]) => ({ parent, state, after, key })),
    context,
  );
}

export function hasCascade(context: Pick<QueryContext, 'table'>): boolean {
  for (const _ of context.table('cascades').range({ limit: 1 })) return true;
  return false;
}

function endOf({ id, state }: JobRecord, { position }: ApplyContext): Cascade {
  return { parent: id, state, after: '', key: textKey(id) + SEPARATOR + numberKey(position) };
}

function tell(open: Cascade[], context: ApplyContext): void {
  const table = context.table<StoredCascade>('cascades');
  for (let at = 0; at < open.length; at += 1) {
    const cascade = open[at] as Cascade;
    const rest = isEarlierUntold(cascade, context) ? cascade : tellSome(cascade, open, context);
    if (rest !== undefined) table.put(rest.key, [rest.parent, rest.state, rest.after]);
  }
}

function isEarlierUntold({ parent, key }: Cascade, context: ApplyContext): boolean {
  for (const _ of context.table('cascades').range({ from: textKey(parent), to: key, limit: 1 })) return true;
  return false;
}

/** @param open where those who end are added. @returns what is left when the command has done its share. */
function tellSome(cascade: Cascade, open: Cascade[], context: ApplyContext): Cascade | undefined {
  const { parent, state } = cascade;
  const index = context.derived<LiveIndex>();
  const left = index.movesLeft(CASCADE_LIMIT);
  const ids = index.dependentsOf(parent, cascade.after, left);
  index.spend(ids.length);
  for (const id of ids) {
    const record = findRecord(context, id) as JobRecord;
    const after = afterParents(record, (name) => (name === parent ? state : undefined), context);
    if (after === record) continue;
    putRecord(context, after, record);
    if (isFinal(after.state) && index.hasDependents(id)) open.push(endOf(after, context));
  }
  if (ids.length < left) return undefined;
  const last = ids.at(-1) ?? cascade.after;
  return index.dependentsOf(parent, last, 1).length === 0 ? undefined : { ...cascade, after: last };
}
