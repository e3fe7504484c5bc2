import { SlotMap } from '../base/index.ts';

/** How an attempt is told from others of its job. */
type NumberOf<T> = (value: T) => number;

/**
 * What belongs to attempts, by job and by a number that differs between the attempts of one job. Nearly every job has one attempt at a time,
 * so the id of the job is the key; an attempt that another one of its job joins moves aside.
 */
export class ByAttempt<T extends {}> {
  readonly #jobIdOf: (value: T) => string;
  readonly #numberOf: NumberOf<T>;
  /** The latest that was set for each job. */
  readonly #latest = new SlotMap<string, T>();
  readonly #others = new SlotMap<string, T>();

  constructor(jobIdOf: (value: T) => string, numberOf: NumberOf<T>) {
    this.#jobIdOf = jobIdOf;
    this.#numberOf = numberOf;
  }

  get size(): number {
    return this.#latest.size + this.#others.size;
  }

  find(jobId: string, number: number): T | undefined {
    const latest = this.#latest.get(jobId);
    if (latest !== undefined && this.#numberOf(latest) === number) return latest;
    return this.#others.size === 0 ? undefined : this.#others.get(nameOf(jobId, number));
  }

  set(value: T): void {
    const jobId = this.#jobIdOf(value);
    const before = this.#latest.replace(jobId, value);
    if (before !== undefined) this.#others.set(nameOf(jobId, this.#numberOf(before)), before);
    if (this.#others.size > 0) this.#others.delete(nameOf(jobId, this.#numberOf(value)));
  }

  delete(jobId: string, number: number): void {
    const latest = this.#latest.get(jobId);
    if (latest !== undefined && this.#numberOf(latest) === number) this.#latest.delete(jobId);
    else if (this.#others.size > 0) this.#others.delete(nameOf(jobId, number));
  }

  values(): T[] {
    return this.#others.size === 0
      ? this.#latest.values()
      : [...this.#latest.values(), ...this.#others.values()];
  }
}

function nameOf(jobId: string, number: number): string {
  return `${jobId}/${number}`;
}
