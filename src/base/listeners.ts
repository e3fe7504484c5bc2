/** A typed set of callbacks. Emitting calls each in the order of subscription; a callback may unsubscribe itself or others. */
export class Listeners<T> {
  readonly #callbacks = new Set<(value: T) => void>();

  get size(): number {
    return this.#callbacks.size;
  }

  add(callback: (value: T) => void): Disposable {
    const own = (value: T) => callback(value);
    this.#callbacks.add(own);
    return { [Symbol.dispose]: () => void this.#callbacks.delete(own) };
  }

  emit(value: T): void {
    for (const callback of [...this.#callbacks]) callback(value);
  }
}
