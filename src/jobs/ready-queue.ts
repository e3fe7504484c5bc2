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

/** A chunk that grows beyond this is cut in two. */
const CHUNK_JOBS_LIMIT = 512;

/**
 * Jobs with the same demands, in order, each once. Taking and adding at either end cost nothing; elsewhere a binary search and a move of
 * what follows in a chunk: a backlog of a million costs a job that stands in its middle no more than one of a thousand.
 */
export class ReadyQueue {
  readonly #chunks: ReadyJob[][] = [];
  /** Jobs of the first chunk that were taken already: less than all of them. */
  #taken = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  peek(): ReadyJob | undefined {
    return this.#chunks[0]?.[this.#taken];
  }

  take(): ReadyJob | undefined {
    const [first] = this.#chunks;
    const job = first?.[this.#taken];
    if (first === undefined || job === undefined) return undefined;
    this.#taken += 1;
    this.#size -= 1;
    if (this.#taken === first.length) this.#dropChunk(0);
    return job;
  }

  add(job: ReadyJob): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || (last.at(-1) as ReadyJob).key < job.key) this.#append(job, last);
    else this.#insert(job);
  }

  has({ key }: ReadyJob): boolean {
    const at = this.#chunkFor(key);
    return this.#chunks[at]?.[this.#placeIn(at, key)]?.key === key;
  }

  remove({ key }: ReadyJob): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    const place = this.#placeIn(at, key);
    if (chunk?.[place]?.key !== key) return;
    chunk.splice(place, 1);
    this.#size -= 1;
    if (chunk.length === (at === 0 ? this.#taken : 0)) this.#dropChunk(at);
  }

  #append(job: ReadyJob, last: ReadyJob[] | undefined): void {
    if (last !== undefined && last.length < CHUNK_JOBS_LIMIT) last.push(job);
    else this.#chunks.push([job]);
    this.#size += 1;
  }

  #insert(job: ReadyJob): void {
    const at = this.#chunkFor(job.key);
    const chunk = this.#chunks[at] as ReadyJob[];
    const place = this.#placeIn(at, job.key);
    if (chunk[place]?.key === job.key) return;
    this.#size += 1;
    if (at === 0 && place === this.#taken && place > 0) {
      this.#taken -= 1; // what was taken left its place free
      chunk[this.#taken] = job;
      return;
    }
    chunk.splice(place, 0, job);
    if (chunk.length > CHUNK_JOBS_LIMIT) this.#cut(at, chunk);
  }

  #cut(at: number, chunk: ReadyJob[]): void {
    if (at === 0) {
      chunk.splice(0, this.#taken);
      this.#taken = 0;
    }
    if (chunk.length > CHUNK_JOBS_LIMIT) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_JOBS_LIMIT >> 1));
  }

  #dropChunk(at: number): void {
    if (at === 0) this.#taken = 0;
    this.#chunks.splice(at, 1);
  }

  /** @returns the place of the first chunk that ends with this key or a later one; after the last where there is none. */
  #chunkFor(key: Key): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle] as ReadyJob[];
      if ((chunk[chunk.length - 1] as ReadyJob).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @returns the first place in that chunk, of those that were not taken, with this key or a later one. */
  #placeIn(at: number, key: Key): number {
    const chunk = this.#chunks[at] ?? [];
    let low = at === 0 ? this.#taken : 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((chunk[middle] as ReadyJob).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
