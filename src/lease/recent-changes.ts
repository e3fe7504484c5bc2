import { type HistoryRecord, REVISIONS_PER_EPOCH } from './machine/index.ts';

/** Changes held at most, and their keys and values. Unit: characters. */
const EVENTS_LIMIT = 10_000;
const TEXT_LIMIT = 8 * 2 ** 20;

/** The newest changes of keys, in memory as long as somebody watches: many watchers need not read the same records again and again. */
export class RecentChanges {
  #records: HistoryRecord[] = [];
  #first = 1;
  #textLength = 0;

  /** What does not follow what is held begins anew: a replica that took a snapshot in has jumped. */
  add(sequence: number, record: HistoryRecord): void {
    if (!this.#follows(sequence, record)) {
      this.#records = [];
      this.#first = sequence;
      this.#textLength = 0;
    }
    this.#records.push(record);
    this.#textLength += textLength(record);
    if (this.#records.length > EVENTS_LIMIT || this.#textLength > TEXT_LIMIT) this.#dropHalf();
  }

  clear(): void {
    this.#records = [];
    this.#textLength = 0;
  }

  /** @returns the change of that number when it is held and of the same epoch as `position`. */
  at(sequence: number, position: number): HistoryRecord | undefined {
    const record = this.#records[sequence - this.#first];
    return record !== undefined && epochOf(record[0]) === epochOf(position) ? record : undefined;
  }

  #follows(sequence: number, [revision, before]: HistoryRecord): boolean {
    const last = this.#records.at(-1);
    if (last === undefined || sequence !== this.#first + this.#records.length) return false;
    return before === last[0] && epochOf(revision) === epochOf(last[0]);
  }

  #dropHalf(): void {
    const dropped = this.#records.splice(0, Math.ceil(this.#records.length / 2));
    this.#first += dropped.length;
    for (const record of dropped) this.#textLength -= textLength(record);
  }
}

function textLength([, , , key, value, , previous]: HistoryRecord): number {
  return key.length + (value?.length ?? 0) + (previous?.[0].length ?? 0);
}

function epochOf(revision: number): number {
  return Math.floor(revision / REVISIONS_PER_EPOCH);
}
