import { type KvChange, REVISIONS_PER_EPOCH, textLengthOf } from './machine/index.ts';

/** Changes held at most, and their keys and values. Unit: characters. */
const EVENTS_LIMIT = 10_000;
const TEXT_LIMIT = 8 * 2 ** 20;

/** The newest changes of keys, in memory as long as somebody watches: many watchers need not read the same records again and again. */
export class RecentChanges {
  #changes: KvChange[] = [];
  #first = 1;
  #textLength = 0;

  /** What does not follow what is held begins anew: a replica that took a snapshot in has jumped. */
  add(sequence: number, change: KvChange): void {
    if (!this.#follows(sequence, change)) {
      this.#changes = [];
      this.#first = sequence;
      this.#textLength = 0;
    }
    this.#changes.push(change);
    this.#textLength += textLengthOf(change);
    if (this.#changes.length > EVENTS_LIMIT || this.#textLength > TEXT_LIMIT) this.#dropHalf();
  }

  clear(): void {
    this.#changes = [];
    this.#textLength = 0;
  }

  /** @returns the change of that number when it is held and of the same epoch as `position`. */
  at(sequence: number, position: number): KvChange | undefined {
    const change = this.#changes[sequence - this.#first];
    return change !== undefined && epochOf(change[0]) === epochOf(position) ? change : undefined;
  }

  #follows(sequence: number, [revision]: KvChange): boolean {
    const last = this.#changes.at(-1);
    if (last === undefined || sequence !== this.#first + this.#changes.length) return false;
    return epochOf(revision) === epochOf(last[0]);
  }

  #dropHalf(): void {
    const dropped = this.#changes.splice(0, Math.ceil(this.#changes.length / 2));
    this.#first += dropped.length;
    for (const change of dropped) this.#textLength -= textLengthOf(change);
  }
}

function epochOf(revision: number): number {
  return Math.floor(revision / REVISIONS_PER_EPOCH);
}
