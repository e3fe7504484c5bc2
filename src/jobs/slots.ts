/** Lets so many work at once; the others wait in order. */
export class Slots {
  readonly #count: number;
  readonly #waiting = new Set<() => void>();
  #takenCount = 0;

  constructor(count: number) {
    this.#count = count;
  }

  get takenCount(): number {
    return this.#takenCount;
  }

  /** @returns the slot, to be disposed of; null when the signal aborted first. */
  async take(signal: AbortSignal): Promise<Disposable | null> {
    while (this.#takenCount >= this.#count) {
      if (signal.aborted) return null;
      await this.#change(signal);
    }
    if (signal.aborted) return null;
    this.#takenCount += 1;
    return { [Symbol.dispose]: () => this.#give() };
  }

  #give(): void {
    this.#takenCount -= 1;
    const [first] = this.#waiting;
    first?.();
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#waiting.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      this.#waiting.add(end);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}
