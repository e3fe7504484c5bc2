/** Groups of seven bits that the length before a message may take: enough for 2 MiB. */
const LENGTH_BYTES_LIMIT = 3;

/**
 * M2: watches what comes on a stream that may bring one message behind its length (an unsigned varint), and nothing after it: whoever asks for more
 * opens another stream, and is counted.
 */
export class MessageBound {
  readonly #bytesLimit: number;
  readonly #head: number[] = [];
  #expectedBytes: number | undefined;
  #receivedBytes = 0;

  /** @param bytesLimit of the message without its length. */
  constructor(bytesLimit: number) {
    this.#bytesLimit = bytesLimit;
  }

  /** @param chunk what came next. @returns false when it is too much, or no length; what comes after that is not looked at. */
  admits(chunk: Uint8Array): boolean {
    this.#receivedBytes += chunk.length;
    for (let at = 0; at < chunk.length && this.#expectedBytes === undefined; at += 1) {
      if (!this.#takeLength(chunk[at] as number)) return false;
    }
    return this.#expectedBytes === undefined || this.#receivedBytes <= this.#expectedBytes;
  }

  #takeLength(byte: number): boolean {
    this.#head.push(byte);
    if ((byte & 0x80) !== 0) return this.#head.length < LENGTH_BYTES_LIMIT;
    const length = this.#head.reduce((sum, part, at) => sum + (part & 0x7f) * 2 ** (7 * at), 0);
    if (length > this.#bytesLimit) return false;
    this.#expectedBytes = this.#head.length + length;
    return true;
  }
}
