import { isUtf8 } from 'node:buffer';

/** A line longer than this is refused, and framing is lost. Unit: bytes, the line feed not counted. */
export const LINE_BYTES_LIMIT = 16 * 2 ** 20;

/** What a part of an unfinished line costs beside its bytes. */
const PART_BYTES = 128;

const LINE_FEED = 0x0a;
const OVERSIZE: LineEvent = { type: 'oversize' };

/** What comes out of the splitter: a line of text; a line that is not UTF-8 (framing holds); a line too long (framing is lost). */
export type LineEvent =
  | { readonly type: 'line'; readonly text: string }
  | { readonly type: 'not-utf8' }
  | { readonly type: 'oversize' };

/**
 * Splits a stream of chunks into lines.
 *
 * - R1 The same bytes give the same lines, however they were cut into chunks.
 * - R2 No byte is copied more than once: parts of an unfinished line are kept as they came and joined at its end.
 * - R3 Never more than `lineBytesLimit` bytes are kept; after an oversize line the splitter yields nothing any more.
 */
export class LineSplitter {
  readonly #lineBytesLimit: number;
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #isLost = false;

  constructor(lineBytesLimit = LINE_BYTES_LIMIT) {
    this.#lineBytesLimit = lineBytesLimit;
  }

  /** What the unfinished line takes, crumbs at what they cost. Unit: bytes. */
  get heldBytes(): number {
    return this.#partsBytes + this.#parts.length * PART_BYTES;
  }

  /** @returns the lines that `chunk` completes, in order; empty lines are left out. */
  push(chunk: Buffer): LineEvent[] {
    if (this.#isLost) return [];
    const firstEnd = chunk.indexOf(LINE_FEED);
    if (firstEnd === -1) return this.#keep(chunk);
    const events: LineEvent[] = [];
    if (this.#partsBytes > 0) {
      this.#parts.push(chunk.subarray(0, firstEnd));
      this.#emitLine(Buffer.concat(this.#parts), events);
      this.#parts = [];
      this.#partsBytes = 0;
    } else {
      this.#emitLine(chunk.subarray(0, firstEnd), events);
    }
    const lastEnd = chunk.lastIndexOf(LINE_FEED);
    if (lastEnd > firstEnd && !this.#isLost) this.#emitLines(chunk.subarray(firstEnd + 1, lastEnd), events);
    if (!this.#isLost && lastEnd + 1 < chunk.length) events.push(...this.#keep(chunk.subarray(lastEnd + 1)));
    return events;
  }

  #keep(part: Buffer): LineEvent[] {
    this.#partsBytes += part.length;
    if (this.#partsBytes > this.#lineBytesLimit) {
      this.#lose();
      return [OVERSIZE];
    }
    this.#parts.push(part);
    return [];
  }

  /** Whole lines at once: one decoding for all of them is several times faster than one for each. */
  #emitLines(region: Buffer, events: LineEvent[]): void {
    if (region.length <= this.#lineBytesLimit && isUtf8(region)) {
      for (const text of region.toString('utf8').split('\n'))
        if (!isBlank(text)) events.push({ type: 'line', text });
      return;
    }
    for (let start = 0; start <= region.length && !this.#isLost; ) {
      const found = region.indexOf(LINE_FEED, start);
      const end = found === -1 ? region.length : found;
      this.#emitLine(region.subarray(start, end), events);
      start = end + 1;
    }
  }

  #emitLine(line: Buffer, events: LineEvent[]): void {
    if (line.length > this.#lineBytesLimit) {
      this.#lose();
      events.push(OVERSIZE);
    } else if (!isUtf8(line)) {
      events.push({ type: 'not-utf8' });
    } else {
      const text = line.toString('utf8');
      if (!isBlank(text)) events.push({ type: 'line', text });
    }
  }

  #lose(): void {
    this.#isLost = true;
    this.#parts = [];
    this.#partsBytes = 0;
  }
}

function isBlank(text: string): boolean {
  return text.length === 0 || text === '\r';
}
