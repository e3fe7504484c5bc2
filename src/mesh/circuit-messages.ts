import { AspenError, decodeForeign, encode, type PeerId } from '../base/index.ts';
import { isPeerId } from './identity.ts';

/** The first message on a stream: whom the source wants, said to the relay, or who it is, said by the relay to the target. */
export interface CircuitOpening {
  readonly kind: 'to' | 'from';
  readonly peerId: PeerId;
}

/** The only answer; after `ok` the stream belongs to the two ends. */
export type CircuitAnswer = { readonly isOk: true } | { readonly isOk: false; readonly reason: string };

/** Most bytes of either. */
export const CIRCUIT_MESSAGE_LIMIT = 128;
const REASON_LIMIT = 32;

export function encodeOpening({ kind, peerId }: CircuitOpening): Uint8Array {
  return encode([kind, peerId]);
}

/** @throws AspenError INVALID_REQUEST */
export function decodeOpening(bytes: Uint8Array): CircuitOpening {
  const [kind, peerId] = listOf(bytes);
  if ((kind !== 'to' && kind !== 'from') || !isPeerId(peerId)) throw malformed();
  return { kind, peerId };
}

export function encodeAnswer(answer: CircuitAnswer): Uint8Array {
  return encode(answer.isOk ? [true] : [false, answer.reason]);
}

/** @throws AspenError INVALID_REQUEST */
export function decodeAnswer(bytes: Uint8Array): CircuitAnswer {
  const [isOk, reason] = listOf(bytes);
  if (isOk === true) return { isOk };
  if (isOk !== false || typeof reason !== 'string' || reason.length > REASON_LIMIT) throw malformed();
  return { isOk, reason };
}

function listOf(bytes: Uint8Array): readonly unknown[] {
  if (bytes.length > CIRCUIT_MESSAGE_LIMIT) throw malformed();
  const value = decodeForeign(bytes);
  if (!Array.isArray(value)) throw malformed();
  return value;
}

function malformed(): AspenError {
  return new AspenError('INVALID_REQUEST', 'malformed message on a circuit');
}
