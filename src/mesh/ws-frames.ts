import { AspenError } from '../base/index.ts';

/** What comes out of the frames of a peer. */
export interface WsEvents {
  /** A part of what was sent, as it came: where one message ends means nothing here. Valid until the next `push`. */
  data(bytes: Uint8Array): void;
  ping(payload: Uint8Array): void;
  /** The peer sends nothing more. */
  close(): void;
}

/** The longest frame that is taken. What is sent is far shorter; something on the way may have put frames together. Unit: bytes. */
export const WS_FRAME_BYTES_LIMIT = 2 ** 20;
/** By the standard: RFC 6455, section 5.5. */
const CONTROL_BYTES_LIMIT = 125;
const MOST_HEADER_BYTES = 14;
const OPCODE = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface Header {
  readonly opcode: number;
  readonly isLast: boolean;
  readonly bytes: number;
  readonly mask: Uint8Array | undefined;
}

/**
 * Reads the frames of a WebSocket (RFC 6455, section 5) as one run of bytes.
 *
 * - F3 Holds a header of 14 bytes and a control frame of 125 at most, whatever the peer announces: data is handed on as it comes.
 *
 * @throws AspenError INVALID_REQUEST from `push` for what no peer of ours sends: then the connection is to be ended.
 */
export class WsFrameReader {
  readonly #events: WsEvents;
  readonly #isMasked: boolean;
  readonly #header = Buffer.alloc(MOST_HEADER_BYTES);
  readonly #control = Buffer.alloc(CONTROL_BYTES_LIMIT);
  #headerBytes = 0;
  #frame: Header | undefined;
  /** Of the payload of {@link #frame}, so far. */
  #readBytes = 0;
  #isWithinMessage = false;
  #isClosed = false;

  /** @param isMasked whether the peer is the one that called: it has to mask what it sends, the other one must not. */
  constructor(isMasked: boolean, events: WsEvents) {
    this.#isMasked = isMasked;
    this.#events = events;
  }

  /** @param chunk is changed: data is unmasked in place. */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#isClosed) {
      rest = this.#frame === undefined ? this.#readHeader(rest) : this.#readPayload(rest, this.#frame);
    }
  }

  #readHeader(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (at < chunk.length) {
      this.#header[this.#headerBytes++] = chunk[at++] as number;
      const wanted = this.#headerBytes < 2 ? 2 : headerBytesOf(this.#header);
      if (this.#headerBytes < wanted) continue;
      this.#headerBytes = 0;
      this.#begin(readHeader(this.#header, wanted));
      break;
    }
    return chunk.subarray(at);
  }

  #begin(frame: Header): void {
    if ((frame.mask !== undefined) !== this.#isMasked) throw malformed('the mask is not as it has to be');
    if (frame.opcode < OPCODE.close) {
      if ((frame.opcode === OPCODE.more) !== this.#isWithinMessage)
        throw malformed('a message is not complete');
      this.#isWithinMessage = !frame.isLast;
    }
    this.#readBytes = 0;
    this.#frame = frame;
    if (frame.bytes === 0) this.#end(frame);
  }

  #readPayload(chunk: Uint8Array, frame: Header): Uint8Array {
    const part = chunk.subarray(0, frame.bytes - this.#readBytes);
    if (frame.mask !== undefined) applyMask(part, frame.mask, this.#readBytes);
    if (frame.opcode < OPCODE.close) this.#events.data(part);
    else this.#control.set(part, this.#readBytes);
    this.#readBytes += part.length;
    if (this.#readBytes === frame.bytes) this.#end(frame);
    return chunk.subarray(part.length);
  }

  #end({ opcode, bytes }: Header): void {
    this.#frame = undefined;
    if (opcode === OPCODE.ping) this.#events.ping(this.#control.subarray(0, bytes));
    if (opcode !== OPCODE.close) return;
    this.#isClosed = true; // what comes after it means nothing
    this.#events.close();
  }
}

function headerBytesOf(header: Uint8Array): number {
  const [, second = 0] = header;
  const short = second & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  return 2 + lengthBytes + (second & 0x80 ? 4 : 0);
}

function readHeader(header: Buffer, headerBytes: number): Header {
  const first = header[0] as number;
  const second = header[1] as number;
  const opcode = first & 0x0f;
  const isLast = (first & 0x80) !== 0;
  const bytes = lengthOf(header, second & 0x7f);
  if (first & 0x70) throw malformed('an extension is used that nobody has agreed to');
  if (opcode === OPCODE.text) throw malformed('a text came');
  if (opcode > OPCODE.pong || (opcode > OPCODE.binary && opcode < OPCODE.close))
    throw malformed(`there is no kind ${opcode}`);
  if (opcode >= OPCODE.close && (!isLast || bytes > CONTROL_BYTES_LIMIT))
    throw malformed('a control frame is too long');
  if (bytes > WS_FRAME_BYTES_LIMIT) throw malformed(`${bytes} bytes are announced`);
  const mask = second & 0x80 ? Uint8Array.from(header.subarray(headerBytes - 4, headerBytes)) : undefined;
  return { opcode, isLast, bytes, mask };
}

function lengthOf(header: Buffer, short: number): number {
  if (short < 126) return short;
  return short === 126 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2));
}

/** @param kind data is sent as whole messages. @param mask 4 bytes that nobody can foresee, by the one that called. @returns one frame. */
export function encodeWsFrame(
  kind: 'binary' | 'close' | 'ping' | 'pong',
  payload: readonly Uint8Array[],
  mask?: Uint8Array,
): Buffer {
  const bytes = payload.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const lengthBytes = bytes < 126 ? 0 : bytes < 2 ** 16 ? 2 : 8;
  const headerBytes = 2 + lengthBytes + (mask?.length ?? 0);
  const frame = Buffer.allocUnsafe(headerBytes + bytes);
  frame[0] = 0x80 | OPCODE[kind];
  frame[1] = (mask === undefined ? 0 : 0x80) | (lengthBytes === 0 ? bytes : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(bytes, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(bytes), 2);
  if (mask !== undefined) frame.set(mask, headerBytes - mask.length);
  let at = headerBytes;
  for (const piece of payload) {
    frame.set(piece, at);
    at += piece.byteLength;
  }
  if (mask !== undefined) applyMask(frame.subarray(headerBytes), mask, 0);
  return frame;
}

/** Both ways, in place. @param offset of the first of these bytes in the payload. */
function applyMask(bytes: Uint8Array, mask: Uint8Array, offset: number): void {
  const at = (index: number) => mask[(offset + index) & 3] as number;
  const head = -bytes.byteOffset & 3;
  if (bytes.length < head + 4) {
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = (bytes[index] as number) ^ at(index);
    return;
  }
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >>> 2);
  const [word = 0] = new Uint32Array(
    Uint8Array.of(at(head), at(head + 1), at(head + 2), at(head + 3)).buffer,
  );
  for (let index = 0; index < head; index += 1) bytes[index] = (bytes[index] as number) ^ at(index);
  for (let index = 0; index < words.length; index += 1) words[index] = (words[index] as number) ^ word;
  for (let index = head + words.length * 4; index < bytes.length; index += 1)
    bytes[index] = (bytes[index] as number) ^ at(index);
}

function malformed(why: string): AspenError {
  return new AspenError('INVALID_REQUEST', `no frame of a WebSocket: ${why}`);
}
