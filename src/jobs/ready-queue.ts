import type { Key } from './machine-port.ts';

/** A job that waits for a node, as the dispatcher holds it. */
export interface ReadyJob {
  readonly id: string;
  /** Its key in the ready index: priority, then order of submission. */
  readonly key: Key;
  /** Jobs of one affinity key meet on one node; it ranks nodes and rules none out. */
  readonly affinityKey?: string;
  /** Jobs of one queue and key are bounded together. */
  readonly concurrencyKey?: string;
}

/** Jobs with the same demands, in order. Taking and adding at either end cost nothing; elsewhere a binary search and a move of what follows. */
export class ReadyQueue {
  #jobs: ReadyJob[] = [];
  #front = 0;

  get size(): number {
    return this.#jobs.length - this.#front;
  }

  peek(): ReadyJob | undefined {
    return this.#jobs[this.#front];
  }

  take(): ReadyJob | undefined {
    const job = this.#jobs[this.#front];
    if (job === undefined) return undefined;
    this.#front += 1;
    if (this.#front > 1_024 && this.#front * 2 > this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#front);
      this.#front = 0;
    }
    return job;
  }

  add(job: ReadyJob): void {
    const last = this.#jobs.at(-1);
    if (last === undefined || this.size === 0 || last.key < job.key) this.#jobs.push(job);
    else this.#insert(job);
  }

  has({ key }: ReadyJob): boolean {
    return this.#jobs[this.#place(key)]?.key === key;
  }

  remove({ key }: ReadyJob): void {
    const at = this.#place(key);
    if (this.#jobs[at]?.key === key) this.#jobs.splice(at, 1);
  }

  #insert(job: ReadyJob): void {
    const at = this.#place(job.key);
    if (this.#jobs[at]?.key === job.key) return;
    if (at > this.#front || at === 0) this.#jobs.splice(at, 0, job);
    else {
      this.#front -= 1; // what was taken from the front left its place free
      this.#jobs[this.#front] = job;
    }
  }

  #place(key: Key): number {
    let low = this.#front;
    let high = this.#jobs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#jobs[middle] as ReadyJob).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
