import { SlotMap } from '../base/index.ts';
import type { Volume } from './machine-port.ts';
import type { JobRecord } from './record.ts';

/** What is to be written of one job. */
export interface LateRow {
  /** The record that the tables hold; undefined for none. */
  readonly written: JobRecord | undefined;
  /** The record as it is; undefined for a job that was removed. */
  readonly now: JobRecord | undefined;
  /** The spec, encoded, where the tables do not hold it. */
  readonly spec: Uint8Array | undefined;
  /** The row of `now`, encoded, where its size had to be known. */
  readonly row: Uint8Array | undefined;
}

/** Rows that most jobs have, or may. */
const WRITES_EACH = 2;

/**
 * Jobs whose rows are written later than their commands: a job that comes, runs and ends between two writes of the tables is written once.
 * What commands change here is taken back when they are refused, also that they caught up with the tables.
 */
export class LateRows {
  readonly #rows = new SlotMap<string, LateRow>();
  #undo: (readonly [id: string, before: LateRow | undefined])[] = [];
  #isOpen = false;
  #bytes = 0;
  #earliestExpiryMs = Number.POSITIVE_INFINITY;
  #writtenThrough = Number.POSITIVE_INFINITY;
  #writtenBefore = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#rows.size;
  }

  /** About what the tables will grow by. */
  get volume(): Volume {
    return { writes: this.#rows.size * WRITES_EACH, bytes: this.#bytes };
  }

  /** Not after the first end of a retention among these rows; infinite when none ends. Unit: ms of group time. */
  get earliestExpiryMs(): number {
    return this.#earliestExpiryMs;
  }

  /** The tables hold no job of a later position; infinite where that is not known. */
  get writtenThrough(): number {
    return this.#writtenThrough;
  }

  find(id: string): LateRow | undefined {
    return this.#rows.get(id);
  }

  ids(): Iterable<string> {
    return this.#rows.keys();
  }

  set(id: string, row: LateRow): void {
    this.#note(id);
    this.#rows.set(id, row);
    this.#bytes += (row.spec?.length ?? 0) + (row.row?.length ?? 0);
    const expiresMs = row.now?.expiresGroupMs ?? null;
    if (expiresMs !== null && expiresMs < this.#earliestExpiryMs) this.#earliestExpiryMs = expiresMs;
  }

  /** For a job of which the tables never knew. */
  drop(id: string): void {
    this.#note(id);
    this.#rows.delete(id);
  }

  /** @param position of the last command. @returns all there are, which are no longer here then. */
  take(position: number): readonly (readonly [id: string, row: LateRow])[] {
    const all = this.#rows.entries();
    if (this.#isOpen) this.#undo.push(...all);
    this.#rows.clear();
    this.#writtenThrough = position;
    this.#bytes = 0;
    this.#earliestExpiryMs = Number.POSITIVE_INFINITY;
    return all;
  }

  begin(): void {
    this.#isOpen = true;
    this.#writtenBefore = this.#writtenThrough;
    if (this.#undo.length > 0) this.#undo = [];
  }

  commit(): void {
    this.#isOpen = false;
    if (this.#undo.length > 0) this.#undo = [];
  }

  rollback(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const [id, before] = step;
      if (before === undefined) this.#rows.delete(id);
      else this.#rows.set(id, before);
    }
    this.#writtenThrough = this.#writtenBefore;
    this.#isOpen = false;
  }

  #note(id: string): void {
    if (this.#isOpen) this.#undo.push([id, this.#rows.get(id)]);
  }
}
