import { type BlockIds, bitOf, blockOf, isSameBlock, placeInBlock } from './blocks.ts';
import { expiryBeat, expiryKind, finalKinds, lastingKinds } from './kinds.ts';
import type { ApplyContext, Key } from './machine-port.ts';
import { isFinal, type JobRecord } from './record.ts';
import { SPEC_BASE } from './spec.ts';

/** What changes in a row of bits. */
interface BitsChange {
  readonly position: number;
  set: number;
  clear: number;
}

/** What changes in a row of ids, by place. */
interface IdsChange {
  readonly position: number;
  readonly ids: Map<number, string | null>;
}

/** The rows that a plain job touches, which the next one mostly touches as well. */
interface Latest {
  readonly job: JobRecord;
  readonly ids: IdsChange;
  readonly type: BitsChange;
  readonly end: LatestEnd | undefined;
}

/** The rows that the end of a plain job touches. */
interface LatestEnd {
  readonly job: JobRecord;
  readonly ended: BitsChange;
  readonly expiring: BitsChange;
}

/**
 * Gathers what moves of jobs change in the rows of their blocks, and writes each row once. A command that submits a thousand jobs of one
 * type, which end in one state, makes a handful of rows for every 32 of them.
 *
 * - L1 For each block and kind there is a row with one bit for each kept job of that kind, and no other; the same for the beats in which
 *   retentions end; and one row with their ids.
 */
export class BlockRows {
  readonly #ids = new Map<Key, IdsChange>();
  readonly #kinds = new Map<Key, BitsChange>();
  readonly #expiring = new Map<Key, BitsChange>();
  #latest: Latest | undefined;
  #latestEnd: LatestEnd | undefined;

  /** Takes over that what the tables hold of a job becomes what it is; either may be missing. */
  move(written: JobRecord | undefined, now: JobRecord | undefined): void {
    if (written === undefined && now !== undefined && isPlain(now)) this.#addPlain(now);
    else {
      if (written !== undefined && now === undefined) this.#keep(written, false);
      if (isEnded(written) && !isSameEnd(written, now)) this.#end(written, false);
      if (written === undefined && now !== undefined) this.#keep(now, true);
      if (isEnded(now) && !isSameEnd(now, written)) {
        if (isPlain(now)) this.#endPlain(now);
        else this.#end(now, true);
      }
    }
  }

  /** L1 @param writtenThrough no row of a job with a later position was ever written. */
  write(context: Pick<ApplyContext, 'table'>, writtenThrough: number): void {
    const blocks = context.table<BlockIds>('blocks');
    for (const [key, { position, ids }] of this.#ids) {
      const after = withChanges((position <= writtenThrough && blocks.get(key)) || [], ids);
      if (after.length === 0) blocks.delete(key);
      else blocks.put(key, after);
    }
    writeBits(context, 'kindBits', this.#kinds, writtenThrough);
    writeBits(context, 'expiryBits', this.#expiring, writtenThrough);
  }

  /** Most jobs come and end between two writes, many of one command in one way. */
  #addPlain(job: JobRecord): void {
    const latest =
      this.#latest !== undefined && isAlike(this.#latest.job, job) ? this.#latest : this.#rowsOf(job);
    this.#latest = latest;
    latest.ids.ids.set(placeInBlock(job), job.id);
    mark(latest.type, job, true);
    if (latest.end !== undefined) markEnd(latest.end, job);
  }

  /** Those that were running when rows were written last, mostly in the order in which they came. */
  #endPlain(job: JobRecord): void {
    const latest =
      this.#latestEnd !== undefined && isAlike(this.#latestEnd.job, job)
        ? this.#latestEnd
        : this.#rowsOfEnd(job);
    this.#latestEnd = latest;
    markEnd(latest, job);
  }

  #rowsOf(job: JobRecord): Latest {
    const block = blockOf(job);
    const [type = ''] = lastingKinds(job);
    return {
      job,
      ids: this.#idsOf(block, job.position),
      type: bitsOf(this.#kinds, type + block, job.position),
      end: isFinal(job.state) ? this.#rowsOfEnd(job) : undefined,
    };
  }

  #rowsOfEnd(job: JobRecord): LatestEnd {
    const block = blockOf(job);
    const [ended = ''] = finalKinds(job);
    return {
      job,
      ended: bitsOf(this.#kinds, ended + block, job.position),
      expiring: bitsOf(this.#expiring, expiryKind(job) + block, job.position),
    };
  }

  #keep(job: JobRecord, isThere: boolean): void {
    const block = blockOf(job);
    this.#idsOf(block, job.position).ids.set(placeInBlock(job), isThere ? job.id : null);
    for (const kind of lastingKinds(job)) mark(bitsOf(this.#kinds, kind + block, job.position), job, isThere);
  }

  #end(job: JobRecord, isThere: boolean): void {
    const block = blockOf(job);
    for (const kind of finalKinds(job)) mark(bitsOf(this.#kinds, kind + block, job.position), job, isThere);
    mark(bitsOf(this.#expiring, expiryKind(job) + block, job.position), job, isThere);
  }

  #idsOf(block: Key, position: number): IdsChange {
    const known = this.#ids.get(block);
    if (known !== undefined) return known;
    const change = { position, ids: new Map<number, string | null>() };
    this.#ids.set(block, change);
    return change;
  }
}

function bitsOf(changes: Map<Key, BitsChange>, key: Key, position: number): BitsChange {
  const known = changes.get(key);
  if (known !== undefined) return known;
  const change = { position, set: 0, clear: 0 };
  changes.set(key, change);
  return change;
}

function mark(change: BitsChange, job: JobRecord, isThere: boolean): void {
  if (isThere) change.set |= bitOf(job);
  else change.clear |= bitOf(job);
}

function markEnd({ ended, expiring }: LatestEnd, job: JobRecord): void {
  mark(ended, job, true);
  mark(expiring, job, true);
}

function writeBits(
  context: Pick<ApplyContext, 'table'>,
  name: 'kindBits' | 'expiryBits',
  changes: ReadonlyMap<Key, BitsChange>,
  writtenThrough: number,
): void {
  const table = context.table<number>(name);
  for (const [key, { position, set, clear }] of changes) {
    const before = position <= writtenThrough ? (table.get(key) ?? 0) : 0;
    const after = ((before & ~clear) | set) >>> 0;
    if (after !== 0) table.put(key, after);
    else table.delete(key);
  }
}

/** @returns the ids without what is empty at the end. */
function withChanges(before: BlockIds, changes: ReadonlyMap<number, string | null>): (string | null)[] {
  const after = [...before];
  for (const [at, id] of changes) {
    while (after.length <= at) after.push(null);
    after[at] = id;
  }
  while (after.length > 0 && after.at(-1) === null) after.pop();
  return after;
}

/** It has no kinds but its type, and how it ended. */
function isPlain({ spec: { labels, queue, namespace } }: JobRecord): boolean {
  return labels === SPEC_BASE.labels && queue === SPEC_BASE.queue && namespace === SPEC_BASE.namespace;
}

/** Whether two plain jobs touch the same rows. */
function isAlike(left: JobRecord, right: JobRecord): boolean {
  return (
    left.state === right.state &&
    left.spec.type === right.spec.type &&
    isSameBlock(left, right) &&
    (!isFinal(left.state) || expiryBeat(left) === expiryBeat(right))
  );
}

function isEnded(job: JobRecord | undefined): job is JobRecord {
  return job !== undefined && isFinal(job.state);
}

function isSameEnd(job: JobRecord, other: JobRecord | undefined): boolean {
  return other?.state === job.state && expiryBeat(other) === expiryBeat(job);
}
