/** So much may always be on its way: a slow path of 64 kbit/s takes a second for it. Unit: bytes. */
const LEAST_BYTES = 8 * 2 ** 10;
const FIRST_BYTES = 32 * 2 ** 10;
/** More than any carrier takes before it asks to wait. Unit: bytes. */
const MOST_BYTES = 8 * 2 ** 20;
/** What was sent should be there so long after the shortest round trip at the latest. Unit: ms. */
const WAIT_MS = 100;

interface Question {
  readonly askedMs: number;
  /** What had been sent before it. */
  readonly sentBytes: number;
}

/**
 * How much of what can wait may be on its way over one link. Sockets, relays and routers take in far more than a slow path carries in a
 * second, and what is urgent waits behind it there, where no priority counts: signs of life come too late, and a node that is well is
 * taken for lost.
 *
 * - N3 An answer tells that everything sent before its question has arrived. Where that took long there was too much on its way: the next
 *   time there is as much as arrives in {@link WAIT_MS}. Where it did not, and all of the window was used, there may be twice as much.
 */
export class DeliveryWindow {
  #windowBytes = FIRST_BYTES;
  #sentBytes = 0;
  #arrivedBytes = 0;
  #question: Question | undefined;
  #shortestMs = Number.POSITIVE_INFINITY;

  /** What may be sent now, of what can wait; 0 or less: nothing. Unit: bytes. */
  get roomBytes(): number {
    return this.#windowBytes - (this.#sentBytes - this.#arrivedBytes);
  }

  /** Whether something is on its way of which nobody has been asked whether it arrived. */
  get isUnasked(): boolean {
    return this.#question === undefined && this.#sentBytes > this.#arrivedBytes;
  }

  /** @param bytes whatever leaves on the link, urgent or not. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** A question leaves; while one is under way others change nothing. */
  asked(nowMs: number): void {
    this.#question ??= { askedMs: nowMs, sentBytes: this.#sentBytes };
  }

  /** @param askedMs of the question that is answered: this or a later one, when the other end was too slow for the first. */
  answered(askedMs: number, nowMs: number): void {
    const question = this.#question;
    if (question === undefined || askedMs < question.askedMs) return;
    this.#question = undefined;
    const tookMs = nowMs - question.askedMs;
    const arrivedBytes = question.sentBytes - this.#arrivedBytes;
    this.#arrivedBytes = question.sentBytes;
    this.#shortestMs = Math.min(this.#shortestMs, tookMs);
    if (tookMs - this.#shortestMs > WAIT_MS)
      this.#windowBytes = Math.max(LEAST_BYTES, Math.floor((arrivedBytes * WAIT_MS) / tookMs));
    else if (arrivedBytes * 2 >= this.#windowBytes)
      this.#windowBytes = Math.min(MOST_BYTES, this.#windowBytes * 2);
  }
}
