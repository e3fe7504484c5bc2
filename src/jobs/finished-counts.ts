import { type ApplyContext, keyText, type QueryContext, textKey } from './machine-port.ts';
import type { JobState } from './record.ts';

export type FinalState = Extract<JobState, 'succeeded' | 'dead' | 'cancelled' | 'skipped'>;

/** Final records of one queue that are kept. */
export interface Finished {
  readonly succeeded: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly skipped: number;
  /** Of all but the dead ones, as stored. */
  readonly bytes: number;
}

type Counted = { -readonly [field in keyof Finished]: Finished[field] };
type Row = readonly [succeeded: number, dead: number, cancelled: number, skipped: number, bytes: number];

const NONE: Finished = Object.freeze({ succeeded: 0, dead: 0, cancelled: 0, skipped: 0, bytes: 0 });

/**
 * How many final records are kept, by queue and state. Finished jobs are not in memory, so these counts have a table of their own: what a
 * command changed is written once at its end, one row for each queue it touched.
 *
 * - Q7 At the end of every command the counts are those of the records.
 */
export class FinishedCounts {
  readonly #queues = new Map<string, Counted>();
  readonly #total = { count: 0, bytes: 0 };
  readonly #dirty = new Set<string>();
  #undo: (readonly [queue: string, state: FinalState, change: 1 | -1, bytes: number])[] = [];

  /** All but the dead ones. */
  get total(): Readonly<{ count: number; bytes: number }> {
    return this.#total;
  }

  of(queue: string): Finished {
    return this.#queues.get(queue) ?? NONE;
  }

  queueNames(): Iterable<string> {
    return this.#queues.keys();
  }

  add(queue: string, state: FinalState, change: 1 | -1, bytes: number): void {
    this.#undo.push([queue, state, change, bytes]);
    this.#change(queue, state, change, bytes);
    this.#dirty.add(queue);
  }

  begin(): void {
    if (this.#undo.length > 0) this.#undo = [];
    if (this.#dirty.size > 0) this.#dirty.clear();
  }

  rollback(): void {
    for (const [queue, state, change, bytes] of this.#undo.reverse())
      this.#change(queue, state, change === 1 ? -1 : 1, bytes);
    this.begin();
  }

  /** Q7. To be called at the end of each command. */
  flush(context: ApplyContext): void {
    if (this.#dirty.size === 0) return;
    const table = context.table<Row>('counts');
    for (const queue of this.#dirty) {
      const of = this.#queues.get(queue);
      if (of === undefined) table.delete(textKey(queue));
      else table.put(textKey(queue), [of.succeeded, of.dead, of.cancelled, of.skipped, of.bytes]);
    }
    this.#dirty.clear();
  }

  load(tables: Pick<QueryContext, 'table'>): void {
    for (const [key, row] of tables.table<Row>('counts').range({})) {
      const [succeeded, dead, cancelled, skipped, bytes] = row;
      this.#queues.set(keyText(key), { succeeded, dead, cancelled, skipped, bytes });
      this.#total.count += succeeded + cancelled + skipped;
      this.#total.bytes += bytes;
    }
  }

  describe(): Readonly<Record<string, Finished>> {
    return Object.fromEntries([...this.#queues].sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  #change(queue: string, state: FinalState, change: 1 | -1, bytes: number): void {
    const of = this.#queues.get(queue) ?? { ...NONE };
    this.#queues.set(queue, of);
    of[state] += change;
    if (state !== 'dead') {
      of.bytes += change * bytes;
      this.#total.count += change;
      this.#total.bytes += change * bytes;
    }
    if (of.succeeded + of.dead + of.cancelled + of.skipped === 0) this.#queues.delete(queue);
  }
}
