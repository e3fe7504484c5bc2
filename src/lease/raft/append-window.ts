export interface AppendWindowLimits {
  readonly inflightAppendsLimit: number;
  /** Unit: bytes. */
  readonly inflightBytesLimit: number;
}

/** The appends on their way to one peer, bounded by their number and by what they carry. */
export class AppendWindow {
  readonly #limits: AppendWindowLimits;
  /** Oldest first. */
  #inflight: { readonly lastIndex: number; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(limits: AppendWindowLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    const { inflightAppendsLimit, inflightBytesLimit } = this.#limits;
    return this.#inflight.length >= inflightAppendsLimit || this.#bytes >= inflightBytesLimit;
  }

  sent(lastIndex: number, bytes: number): void {
    this.#inflight.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** The peer holds everything up to `matchIndex`. */
  arrived(matchIndex: number): void {
    for (
      let first = this.#inflight[0];
      first !== undefined && first.lastIndex <= matchIndex;
      first = this.#inflight[0]
    ) {
      this.#bytes -= first.bytes;
      this.#inflight.shift();
    }
  }

  clear(): void {
    this.#inflight = [];
    this.#bytes = 0;
  }
}
