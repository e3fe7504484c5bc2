import type { Key } from './machine-port.ts';

/** A job that waits for a node, as the dispatcher holds it. */
export interface ReadyJob {
  readonly id: string;
  /** Its key in the ready index: priority, then order of submission. */
  readonly key: Key;
}

/** Jobs with the same demands, in order. Taking from the front and adding at the end cost nothing; elsewhere a binary search. */
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

  remove({ key }: ReadyJob): void {
    const at = this.#place(key);
    if (this.#jobs[at]?.key === key) this.#jobs.splice(at, 1);
  }

  #insert(job: ReadyJob): void {
    const at = this.#place(job.key);
    if (this.#jobs[at]?.key !== job.key) this.#jobs.splice(at, 0, job);
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
