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

/** The same for each key: tasks of one key do not overlap, those of different keys may. A key with nothing to do takes no room. */
export class OneByOneOf<K> {
  readonly #last = new Map<K, Promise<unknown>>();

  /** @returns what `task` gives; rejects with what it throws. */
  run<T>(key: K, task: () => Promise<T>): Promise<T> {
    const result = (this.#last.get(key) ?? Promise.resolve()).then(task, task);
    this.#last.set(key, result);
    const end = () => {
      if (this.#last.get(key) === result) this.#last.delete(key);
    };
    result.then(end, end);
    return result;
  }
}
