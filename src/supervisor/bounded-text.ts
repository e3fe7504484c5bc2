/** What is kept of the beginning, and as much of the end. Unit: bytes. */
export const KEPT_EACH_BYTES = 64 * 1024;

/**
 * The beginning and the end of a stream of any length, as text. The cuts never split a UTF-8 character; bytes that are no UTF-8
 * become U+FFFD.
 */
export class BoundedText {
  readonly #eachBytes: number;
  #head: Uint8Array[] = [];
  #headBytes = 0;
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #leftOutBytes = 0;

  constructor(eachBytes = KEPT_EACH_BYTES) {
    this.#eachBytes = eachBytes;
  }

  get isCut(): boolean {
    return this.#leftOutBytes > 0;
  }

  add(bytes: Uint8Array): void {
    const forHead = Math.min(bytes.length, this.#eachBytes - this.#headBytes);
    if (forHead > 0) {
      this.#head.push(bytes.slice(0, forHead));
      this.#headBytes += forHead;
    }
    if (forHead < bytes.length) this.#addToTail(bytes.subarray(forHead));
  }

  toString(): string {
    if (this.#tailBytes > this.#eachBytes) this.#trimTail();
    const head = joined(this.#head);
    const tail = joined(this.#tail);
    if (!this.isCut) return decode(joined([head, tail]));
    const headEnd = wholeCharactersEnd(head);
    const tailStart = firstCharacterStart(tail);
    const leftOut = this.#leftOutBytes + (head.length - headEnd) + tailStart;
    const marker = `\n... ${leftOut} bytes left out ...\n`;
    return decode(head.subarray(0, headEnd)) + marker + decode(tail.subarray(tailStart));
  }

  #addToTail(bytes: Uint8Array): void {
    this.#tail.push(bytes.slice(-this.#eachBytes));
    this.#tailBytes += Math.min(bytes.length, this.#eachBytes);
    this.#leftOutBytes += Math.max(0, bytes.length - this.#eachBytes);
    if (this.#tailBytes > 2 * this.#eachBytes || this.#tail.length > 1_024) this.#trimTail();
  }

  #trimTail(): void {
    const all = joined(this.#tail);
    const kept = all.slice(-this.#eachBytes);
    this.#leftOutBytes += all.length - kept.length;
    this.#tail = [kept];
    this.#tailBytes = kept.length;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

const isContinuation = (byte: number) => (byte & 0b1100_0000) === 0b1000_0000;

const lengthFrom = (first: number) => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1);

/** @returns where to cut so that no character is begun and not ended. */
function wholeCharactersEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    return lengthFrom(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** @returns how many bytes at the start belong to a character whose beginning was left out; at most 3. */
function firstCharacterStart(bytes: Uint8Array): number {
  let start = 0;
  while (start < Math.min(3, bytes.length) && isContinuation(bytes[start] ?? 0)) start += 1;
  return start;
}
