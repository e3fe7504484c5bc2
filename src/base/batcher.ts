export interface BatcherOptions {
  /** Items of one batch. */
  readonly itemsLimit: number;
  /** A batch ends before the item that exceeds it; a larger single item travels alone. Unit: bytes. */
  readonly bytesLimit: number;
}

interface Batch<I, R> {
  readonly items: I[];
  readonly answers: Promise<readonly R[]>;
  readonly resolve: (answers: readonly R[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Where the answer to an item is found. */
export interface BatchPlace<R> {
  /** To the whole batch: rejects when it could not be sent. Whoever joined waits for it, or nobody may hear of that. */
  readonly answers: Promise<readonly R[]>;
  readonly at: number;
}

/**
 * Sends together what is asked for in one turn: what many do at the same moment costs little more than what one does alone, and who is
 * alone waits for nobody. Batches are sent in order, without waiting for the answer to the one before.
 */
export class Batcher<I, R> {
  readonly #send: (items: readonly I[]) => Promise<readonly R[]>;
  readonly #options: BatcherOptions;
  /** What the next items join, while it takes any. */
  #open: Batch<I, R> | undefined;
  #bytes = 0;

  /** @param send answers each item, in order; when it rejects, every item of the batch is rejected with the same error. */
  constructor(send: (items: readonly I[]) => Promise<readonly R[]>, options: BatcherOptions) {
    this.#send = send;
    this.#options = options;
  }

  /** @param bytes about what the item adds to a batch. */
  async add(item: I, bytes: number): Promise<R> {
    const { answers, at } = this.join(item, bytes);
    return (await answers)[at] as R;
  }

  /** As {@link add}, for those who come by the thousand: the items of a batch share one promise. */
  join(item: I, bytes: number): BatchPlace<R> {
    const { itemsLimit, bytesLimit } = this.#options;
    const isFull = (this.#open?.items.length ?? 0) >= itemsLimit || this.#bytes + bytes > bytesLimit;
    if (isFull) this.#flush();
    this.#open ??= this.#begin();
    this.#bytes += bytes;
    return { answers: this.#open.answers, at: this.#open.items.push(item) - 1 };
  }

  #begin(): Batch<I, R> {
    queueMicrotask(() => this.#flush());
    const { promise: answers, resolve, reject } = Promise.withResolvers<readonly R[]>();
    return { items: [], answers, resolve, reject };
  }

  #flush(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    this.#bytes = 0;
    this.#send(batch.items).then(batch.resolve, batch.reject);
  }
}
