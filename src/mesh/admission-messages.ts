import { AspenError, decode, encode, fromWireError, toWireError } from '../base/index.ts';
import { isBytes } from './statement.ts';
import { TICKET_SECRET_BYTES } from './ticket.ts';
import { ADMISSION_BYTES_LIMIT } from './transport.ts';

/** What somebody who is not (yet) known to a member may say to it. */
export type AdmissionRequest =
  /** Who are you? Asked before a secret is told. */
  | { readonly type: 'hello'; readonly meshId: string }
  | { readonly type: 'certificate'; readonly meshId: string; readonly certificate: Uint8Array }
  | {
      readonly type: 'ticket';
      readonly meshId: string;
      readonly ticketId: string;
      readonly secret: Uint8Array;
      readonly sealingKey: Uint8Array;
    };

/** `certificate` is always the answerer's own, so that it is proven first. */
export type AdmissionAnswer =
  | { readonly type: 'hello'; readonly certificate: Uint8Array }
  | { readonly type: 'admitted'; readonly certificate: Uint8Array; readonly issued: Uint8Array | null }
  | { readonly type: 'refused'; readonly error: AspenError };

const MESH_ID_CHARACTERS = 64;
const TICKET_ID_CHARACTERS = 64;

export function encodeAdmissionRequest(request: AdmissionRequest): Uint8Array {
  return encode(request);
}

export function encodeAdmissionAnswer(answer: AdmissionAnswer): Uint8Array {
  return encode(answer.type === 'refused' ? { type: 'refused', error: toWireError(answer.error) } : answer);
}

/** @throws AspenError DENIED when it is none, whatever the bytes are. */
export function decodeAdmissionRequest(bytes: Uint8Array): AdmissionRequest {
  const { type, meshId, certificate, ticketId, secret, sealingKey } = fields(bytes);
  if (typeof meshId === 'string' && meshId.length <= MESH_ID_CHARACTERS) {
    if (type === 'hello') return { type, meshId };
    if (type === 'certificate' && certificate instanceof Uint8Array) return { type, meshId, certificate };
    if (
      type === 'ticket' &&
      isTicketId(ticketId) &&
      isBytes(secret, TICKET_SECRET_BYTES) &&
      isBytes(sealingKey, 32)
    ) {
      return { type, meshId, ticketId, secret, sealingKey };
    }
  }
  throw new AspenError('DENIED', 'the admission request is malformed');
}

/** @throws AspenError DENIED when it is none, whatever the bytes are. */
export function decodeAdmissionAnswer(bytes: Uint8Array): AdmissionAnswer {
  const { type, certificate, issued, error } = fields(bytes);
  if (type === 'refused') return { type, error: fromWireError(error) };
  if (type === 'hello' && certificate instanceof Uint8Array) return { type, certificate };
  if (type === 'admitted' && certificate instanceof Uint8Array) {
    if (issued === null || issued instanceof Uint8Array) return { type, certificate, issued };
  }
  throw new AspenError('DENIED', 'the admission answer is malformed');
}

function fields(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > ADMISSION_BYTES_LIMIT)
    throw new AspenError('DENIED', 'the admission message is too long');
  try {
    const value = decode(bytes);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch (cause) {
    throw new AspenError('DENIED', 'the admission message is not MessagePack', { cause });
  }
}

function isTicketId(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TICKET_ID_CHARACTERS;
}
