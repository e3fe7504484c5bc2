import { nameKey } from './ended-index.ts';
import { type ApplyContext, type Key, numberKey, type QueryContext } from './machine-port.ts';
import type { JobRecord } from './record.ts';
import { rowsOf } from './record-store.ts';
import { SPEC_BASE } from './spec.ts';

/** Jobs of one command whose offsets share the higher bits stand in one block: most commands are one block. */
const BLOCK_OFFSETS = 1_024;

/** @returns the prefix of the blocks that hold jobs of a type. */
export function typePrefix(type: string): Key {
  return `t${nameKey(type)}`;
}

/** @returns the same for a label: with that value, or with any where none is given. */
export function labelPrefix(label: string, value?: string): Key {
  return value === undefined ? `k${nameKey(label)}` : `l${nameKey(label)}${nameKey(value)}`;
}

/** @returns where the block of a job begins, in the order of submission. */
export function blockOf({ position, offset }: Pick<JobRecord, 'position' | 'offset'>): Key {
  return numberKey(position) + numberKey(offset - (offset % BLOCK_OFFSETS));
}

/** @returns where the next block could begin. */
function endOfBlock(block: Key): Key {
  const half = block.length / 2;
  return block.slice(0, half) + numberKey(BLOCK_OFFSETS + keyToOffset(block.slice(half)));
}

function keyToOffset(key: Key): number {
  let offset = 0;
  for (const digit of Buffer.from(key, 'latin1')) offset = offset * 256 + digit;
  return offset;
}

/** Every entry that a record has, by the prefix of its kind. */
export function kindsOf({ spec }: Pick<JobRecord, 'spec'>): Key[] {
  const kinds = [typePrefix(spec.type)];
  if (spec.labels === SPEC_BASE.labels) return kinds;
  for (const [label, value] of Object.entries(spec.labels))
    kinds.push(labelPrefix(label), labelPrefix(label, value));
  return kinds;
}

interface Change {
  count: number;
}

/** The change that a job of the same type and block adds to. */
interface Latest {
  readonly type: string;
  readonly position: number;
  readonly block: number;
  readonly change: Change;
}

/**
 * Where jobs of a type, or with a label, are found: not each of them but the blocks that hold some, with their count. A command that submits
 * a thousand jobs of one type makes one row, which their moves do not touch, so a job costs an addition.
 *
 * - L1 A block has a row for each kind of its kept jobs, with their count, and no other, whenever the tables have been written.
 */
export class KindCounts {
  readonly #changes = new Map<Key, Change>();
  #latest: Latest | undefined;

  /** Takes over that what the tables hold of a job becomes what it is; either may be missing. */
  move(written: JobRecord | undefined, now: JobRecord | undefined): void {
    if (written?.position === now?.position && written?.offset === now?.offset) return;
    if (written !== undefined) this.#add(written, -1);
    if (now !== undefined) this.#add(now, 1);
  }

  /** L1 */
  write(context: ApplyContext): void {
    const table = context.table<number>('kinds');
    for (const [key, { count }] of this.#changes) {
      const after = (table.get(key) ?? 0) + count;
      if (after > 0) table.put(key, after);
      else table.delete(key);
    }
  }

  #add(record: JobRecord, by: 1 | -1): void {
    const { spec, position, offset } = record;
    const { type, labels } = spec;
    const block = Math.floor(offset / BLOCK_OFFSETS);
    const latest = this.#latest;
    if (latest?.type === type && latest.position === position && latest.block === block)
      latest.change.count += by;
    else
      this.#latest = { type, position, block, change: this.#change(typePrefix(type) + blockOf(record), by) };
    if (labels === SPEC_BASE.labels) return;
    const [, ...ofLabels] = kindsOf(record);
    for (const kind of ofLabels) this.#change(kind + blockOf(record), by);
  }

  #change(key: Key, by: 1 | -1): Change {
    const known = this.#changes.get(key);
    if (known !== undefined) {
      known.count += by;
      return known;
    }
    const change = { count: by };
    this.#changes.set(key, change);
    return change;
  }
}

/** A part of the order of submission: from `from` on, before `to`. */
export interface Block {
  readonly from: Key;
  readonly to: Key;
}

/** @returns the newest block that begins before `before` and holds jobs of every kind; undefined when there is none. */
export function newestBlock(context: QueryContext, kinds: readonly Key[], before: Key): Block | undefined {
  let found = blockBefore(context, kinds[0] as Key, before);
  for (let at = 1; found !== undefined && at < kinds.length; ) {
    const other = blockBefore(context, kinds[at] as Key, upTo(found));
    if (other === found) at += 1;
    else {
      found = other === undefined ? undefined : blockBefore(context, kinds[0] as Key, upTo(other));
      at = 1;
    }
  }
  return found === undefined ? undefined : { from: found, to: endOfBlock(found) };
}

/** @returns the bound that lets in a place, also where an id follows it, and nothing after it. */
export function upTo(place: Key): Key {
  return `${place}\u00ff`;
}

function blockBefore(context: QueryContext, kind: Key, before: Key): Key | undefined {
  const range = { from: kind, to: kind + before, reverse: true, limit: 1 };
  for (const [key] of rowsOf<number>(context, 'kinds').range(range)) return key.slice(kind.length);
  return undefined;
}
