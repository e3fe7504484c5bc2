export interface BatcherOptions {
  /** Items of one batch. */
  readonly itemsLimit: number;
  /** A batch ends before the item that exceeds it; a larger single item travels alone. Unit: bytes. */
  readonly bytesLimit: number;
}

interface Waiting<I, R> {
  readonly item: I;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends together what is asked for in one turn: what many do at the same moment costs little more than what one does alone, and who is
 * alone waits for nobody. Batches are sent in order, without waiting for the answer to the one before.
 */
export class Batcher<I, R> {
  readonly #send: (items: readonly I[]) => Promise<readonly R[]>;
  readonly #options: BatcherOptions;
  #waiting: Waiting<I, R>[] = [];
  #bytes = 0;

  /** @param send answers each item, in order; when it rejects, every item of the batch is rejected with the same error. */
  constructor(send: (items: readonly I[]) => Promise<readonly R[]>, options: BatcherOptions) {
    this.#send = send;
    this.#options = options;
  }

  /** @param bytes about what the item adds to a batch. */
  add(item: I, bytes: number): Promise<R> {
    const { itemsLimit, bytesLimit } = this.#options;
    const isFull = this.#waiting.length >= itemsLimit || this.#bytes + bytes > bytesLimit;
    if (isFull && this.#waiting.length > 0) this.#flush();
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    this.#bytes += bytes;
    return new Promise((resolve, reject) => this.#waiting.push({ item, resolve, reject }));
  }

  #flush(): void {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    this.#send(batch.map(({ item }) => item)).then(
      (results) => {
        for (const [at, { resolve }] of batch.entries()) resolve(results[at] as R);
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }
}
