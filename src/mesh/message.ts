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

export function encodeRequest(id: number, method: string, body: unknown): Uint8Array {
  return encode([REQUEST, id, method, body]);
}

export function encodeReply(id: number, body: unknown): Uint8Array {
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
  const parts = decodeForeign(frame);
  const message = Array.isArray(parts) ? readMessage(parts) : undefined;
  if (message === undefined) {
    throw new AspenError('INVALID_REQUEST', `a frame of ${frame.length} bytes is not a message`);
  }
  return message;
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
