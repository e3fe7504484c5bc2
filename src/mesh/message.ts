import { AspenError, decodeForeign, encode, toWireError, type WireError } from '../base/index.ts';

/** A frame of the messenger. Ids are unique to the sender, across its restarts. */
export type Message =
  | { readonly kind: 'request'; readonly id: number; readonly method: string; readonly body: unknown }
  | { readonly kind: 'reply'; readonly id: number; readonly body: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: unknown }
  | { readonly kind: 'oneWay'; readonly method: string; readonly body: unknown };

const REQUEST = 0;
const REPLY = 1;
const FAILURE = 2;
const ONE_WAY = 3;
const METHOD_CHARACTERS_LIMIT = 64;

/** An answer of so many bytes is not copied more often than it has to be. Unit: bytes. */
const LONG_BYTES = 32 * 2 ** 10;
/** MessagePack: the first byte of an array of three, and of bytes whose length has 32 bits. */
const ARRAY_OF_3 = 0x93;
const BYTES_32 = 0xc6;
const BYTES_HEADER_BYTES = 5;
/** How long a whole number is, by its first byte: float 64, and 8 to 64 bits without a sign. */
const ID_BYTES: Readonly<Record<number, number>> = { 203: 9, 204: 2, 205: 3, 206: 5, 207: 9 };

export function encodeRequest(id: number, method: string, body: unknown): Uint8Array {
  return encode([REQUEST, id, method, body]);
}

export function encodeReply(id: number, body: unknown): Uint8Array {
  if (body instanceof Uint8Array && body.length >= LONG_BYTES) return encodeLongReply(id, body);
  return encode([REPLY, id, body]);
}

export function encodeFailure(id: number, error: unknown): Uint8Array {
  return encode([FAILURE, id, toWireError(error) satisfies WireError]);
}

export function encodeOneWay(method: string, body: unknown): Uint8Array {
  return encode([ONE_WAY, method, body]);
}

/** @throws AspenError INVALID_REQUEST when the frame is no message; bodies are left unchecked. */
export function decodeMessage(frame: Uint8Array): Message {
  const long = readLongReply(frame);
  if (long !== undefined) return long;
  const parts = decodeForeign(frame);
  const message = Array.isArray(parts) ? readMessage(parts) : undefined;
  if (message === undefined) {
    throw new AspenError('INVALID_REQUEST', `a frame of ${frame.length} bytes is not a message`);
  }
  return message;
}

/** As `encode([REPLY, id, body])`, with one copy of the body and no more. */
function encodeLongReply(id: number, body: Uint8Array): Uint8Array {
  const start = encode([REPLY, id]);
  const frame = Buffer.allocUnsafeSlow(start.length + BYTES_HEADER_BYTES + body.length);
  frame.set(start);
  frame[0] = ARRAY_OF_3;
  frame[start.length] = BYTES_32;
  frame.writeUInt32BE(body.length, start.length + 1);
  frame.set(body, start.length + BYTES_HEADER_BYTES);
  return frame;
}

/** @returns an answer that is long bytes and nothing else, a view of the frame; undefined for any other message. */
function readLongReply(frame: Uint8Array): Message | undefined {
  if (frame.length < LONG_BYTES || frame[0] !== ARRAY_OF_3 || frame[1] !== REPLY) return undefined;
  const idEnd = 2 + (ID_BYTES[frame[2] as number] ?? 0);
  const start = idEnd + BYTES_HEADER_BYTES;
  const bodyBytes = new DataView(frame.buffer, frame.byteOffset).getUint32(idEnd + 1);
  if (idEnd === 2 || frame[idEnd] !== BYTES_32 || start + bodyBytes !== frame.length) return undefined;
  const id = decodeForeign(frame.subarray(2, idEnd));
  return isId(id) ? { kind: 'reply', id, body: frame.subarray(start) } : undefined;
}

function readMessage(parts: readonly unknown[]): Message | undefined {
  const [kind, second, third, fourth] = parts;
  switch (kind) {
    case REQUEST:
      return parts.length === 4 && isId(second) && isMethod(third)
        ? { kind: 'request', id: second, method: third, body: fourth }
        : undefined;
    case REPLY:
      return parts.length === 3 && isId(second) ? { kind: 'reply', id: second, body: third } : undefined;
    case FAILURE:
      return parts.length === 3 && isId(second) ? { kind: 'failure', id: second, error: third } : undefined;
    case ONE_WAY:
      return parts.length === 3 && isMethod(second)
        ? { kind: 'oneWay', method: second, body: third }
        : undefined;
    default:
      return undefined;
  }
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isMethod(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= METHOD_CHARACTERS_LIMIT;
}
