/** Runs tasks one at a time, in the order in which they were given; one that failed does not keep the next from running. */
export class OneByOne {
  #last: Promise<unknown> = Promise.resolve();

  /** @returns what `task` gives; rejects with what it throws. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result;
    return result;
  }
}
