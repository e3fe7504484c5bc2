/** Shorter values are not masked: they would be found where they are not. Unit: bytes. */
export const MASKED_LEAST_BYTES = 4;
/** Lines of a value of several lines are masked each by itself from this length on. Unit: bytes. */
const LINE_LEAST_BYTES = 8;
/** Texts that are looked for; of more than that the longest. */
const PATTERNS_LIMIT = 256;

export const MASK = Buffer.from('[secret]');
const NOTHING = new Uint8Array(0);

/**
 * Replaces secret values in one stream of bytes.
 *
 * - K1 A value is found wherever it stands as it is, also cut into any pieces. What may be the beginning of one is held back until it is known
 *   what it is: never more than one byte less than the longest value.
 * - K2 What is no part of a value comes out unchanged and in order.
 */
export class Masker {
  readonly #patterns: readonly Buffer[];
  #held: Uint8Array = NOTHING;

  constructor(values: readonly Uint8Array[]) {
    this.#patterns = patternsOf(values);
  }

  /** @returns what is known of the stream now, masked. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#patterns.length === 0) return bytes;
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const buffer = asBuffer(all);
    const parts: Uint8Array[] = [];
    let from = 0;
    for (;;) {
      const openAt = this.#openFrom(buffer, from);
      const found = this.#next(buffer, from);
      if (found === undefined || found.at >= openAt) {
        this.#held = new Uint8Array(buffer.subarray(openAt));
        parts.push(buffer.subarray(from, openAt));
        return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
      }
      parts.push(buffer.subarray(from, found.at), MASK);
      from = found.at + found.length;
    }
  }

  /** Nothing more comes. @returns what was held back. */
  end(): Uint8Array {
    const held = asBuffer(this.#held);
    this.#held = NOTHING;
    const parts: Uint8Array[] = [];
    let from = 0;
    for (let found = this.#next(held, from); found !== undefined; found = this.#next(held, from)) {
      parts.push(held.subarray(from, found.at), MASK);
      from = found.at + found.length;
    }
    return Buffer.concat([...parts, held.subarray(from)]);
  }

  /** @returns the first whole value from `from` on, the longest of those that begin there. */
  #next(buffer: Buffer, from: number): { readonly at: number; readonly length: number } | undefined {
    let found: { at: number; length: number } | undefined;
    for (const pattern of this.#patterns) {
      const at = buffer.indexOf(pattern, from);
      if (at !== -1 && (found === undefined || at < found.at)) found = { at, length: pattern.length };
    }
    return found;
  }

  /** @returns the first place from `from` on where all that follows may be the beginning of a value; the end where there is none. */
  #openFrom(buffer: Buffer, from: number): number {
    let openAt = buffer.length;
    for (const pattern of this.#patterns) {
      const start = Math.max(from, buffer.length - pattern.length + 1);
      for (let at = buffer.indexOf(pattern[0] as number, start); at !== -1 && at < openAt; ) {
        if (pattern.subarray(0, buffer.length - at).equals(buffer.subarray(at))) openAt = at;
        else at = buffer.indexOf(pattern[0] as number, at + 1);
      }
    }
    return openAt;
  }
}

/** The longest first, so that of two that begin at one place the longer is taken. */
function patternsOf(values: readonly Uint8Array[]): readonly Buffer[] {
  const texts = values.flatMap((value) => {
    const buffer = asBuffer(value);
    const whole = buffer.at(-1) === 0x0a ? buffer.subarray(0, -1) : buffer;
    const lines = whole.includes(0x0a)
      ? linesOf(whole).filter(({ length }) => length >= LINE_LEAST_BYTES)
      : [];
    return [whole, ...lines];
  });
  const unique = new Map(texts.map((text) => [text.toString('latin1'), text]));
  return [...unique.values()]
    .filter(({ length }) => length >= MASKED_LEAST_BYTES)
    .sort((left, right) => right.length - left.length)
    .slice(0, PATTERNS_LIMIT);
}

function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from <= text.length; ) {
    const feed = text.indexOf(0x0a, from);
    const until = feed === -1 ? text.length : feed;
    lines.push(text.subarray(from, text.at(until - 1) === 0x0d ? until - 1 : until));
    from = until + 1;
  }
  return lines;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
