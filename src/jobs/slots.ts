/** Lets so many work at once; the others wait in order. */
export class Slots {
  readonly #waiting = new Set<() => void>();
  #count: number;
  #takenCount = 0;
  #isClosed = false;

  constructor(count: number) {
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  get takenCount(): number {
    return this.#takenCount;
  }

  /** @returns whether a slot was free; whoever took it gives it back. */
  tryTake(): boolean {
    if (this.#isClosed || this.#takenCount >= this.#count) return false;
    this.#takenCount += 1;
    return true;
  }

  /** For what runs already: it has its slot, also where that is one more than there are. */
  takeAnyway(): void {
    this.#takenCount += 1;
  }

  /** @returns whether a slot was taken; false when the signal aborted first, or no slot will be given any more. */
  async take(signal: AbortSignal): Promise<boolean> {
    while (!this.#isClosed && !signal.aborted) {
      if (this.tryTake()) return true;
      await this.#change(signal);
    }
    return false;
  }

  give(): void {
    this.#takenCount -= 1;
    this.#wakeFirst();
  }

  /** What is taken stays taken, also where it is more than there are now. */
  resize(count: number): void {
    this.#count = count;
    for (let free = count - this.#takenCount; free > 0 && this.#waiting.size > 0; free -= 1)
      this.#wakeFirst();
  }

  /** Nobody is given a slot any more; who waits is told at once. */
  close(): void {
    this.#isClosed = true;
    while (this.#waiting.size > 0) this.#wakeFirst();
  }

  #wakeFirst(): void {
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
