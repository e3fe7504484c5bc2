import { isUtf8 } from 'node:buffer';

export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr';
  readonly offset: number;
  readonly data: string;
  readonly encoding?: 'base64';
}

interface Chunk extends Bytes {
  readonly attempt: number;
}

interface Bytes {
  readonly stream: 'stdout' | 'stderr';
  readonly offset: number;
  readonly data: Uint8Array;
}

/**
 * Turns chunks of bytes into text without cutting a character in two: the first bytes of one that is not whole wait for the rest.
 * What is not UTF-8 goes as base64. No character goes on in another attempt.
 */
export class Utf8Pieces {
  readonly #waiting = new Map<Bytes['stream'], Bytes>();
  #attempt = 0;

  add({ attempt, ...chunk }: Chunk): OutputPiece[] {
    const before = attempt === this.#attempt ? [] : this.rest();
    this.#attempt = attempt;
    return [...before, ...this.#addBytes(chunk)];
  }

  #addBytes(chunk: Bytes): OutputPiece[] {
    const joined = this.#join(chunk);
    const end = joined.data.length - incompleteTail(joined.data);
    const rest = joined.data.subarray(end);
    if (rest.length > 0)
      this.#waiting.set(chunk.stream, { ...joined, offset: joined.offset + end, data: rest });
    else this.#waiting.delete(chunk.stream);
    return end === 0 ? [] : [pieceOf({ ...joined, data: joined.data.subarray(0, end) })];
  }

  /** What was waiting for bytes that never came. */
  rest(): OutputPiece[] {
    const rest = [...this.#waiting.values()].map(pieceOf);
    this.#waiting.clear();
    return rest;
  }

  #join(chunk: Bytes): Bytes {
    const waiting = this.#waiting.get(chunk.stream);
    if (waiting === undefined) return chunk;
    return { stream: chunk.stream, offset: waiting.offset, data: Buffer.concat([waiting.data, chunk.data]) };
  }
}

function pieceOf({ stream, offset, data }: Bytes): OutputPiece {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (isUtf8(bytes)) return { stream, offset, data: bytes.toString('utf8') };
  return { stream, offset, data: bytes.toString('base64'), encoding: 'base64' };
}

/** @returns how many bytes at the end begin a character whose other bytes are missing: 0 to 3. */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue; // a following byte: its first one is further back
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
