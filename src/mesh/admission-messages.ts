import { AspenError, decodeForeign, encode, fromWireError, toWireError } from '../base/index.ts';
import { ROOT_ENTRY_BYTES_LIMIT } from './root-book.ts';
import { proofToWire, type RootListProof, readProof } from './root-list.ts';
import { isBytes } from './statement.ts';
import { TICKET_SECRET_BYTES } from './ticket.ts';
import { ADMISSION_BYTES_LIMIT } from './transport.ts';

/** What somebody who is not (yet) known to a member may say to it. */
export type AdmissionRequest =
  /** Who are you? Asked before a secret is told. */
  | { readonly type: 'hello'; readonly meshId: string }
  | {
      readonly type: 'certificate';
      readonly meshId: string;
      readonly certificate: Uint8Array;
      readonly proof?: RootListProof | undefined;
    }
  /** Which root keys follow? Tells those that the asker believes, wants those of number `from` and later. */
  | {
      readonly type: 'roots';
      readonly meshId: string;
      readonly from: number;
      readonly entries: readonly Uint8Array[];
    }
  | {
      readonly type: 'ticket';
      readonly meshId: string;
      readonly ticketId: string;
      readonly secret: Uint8Array;
      readonly sealingKey: Uint8Array;
    };

/** `certificate` is always the answerer's own, so that it is proven first, with the proof that it stays valid where it is of an earlier root key. */
export type AdmissionAnswer =
  | { readonly type: 'hello'; readonly certificate: Uint8Array; readonly proof?: RootListProof | undefined }
  | {
      readonly type: 'admitted';
      readonly certificate: Uint8Array;
      readonly proof?: RootListProof | undefined;
      readonly issued: Uint8Array | null;
    }
  /** In order; more may follow where there are any. */
  | { readonly type: 'roots'; readonly entries: readonly Uint8Array[] }
  /** To whom it is about, and nothing is told with it: whoever says so is not believed, the root key that signed it is. */
  | { readonly type: 'revoked'; readonly revocation: Uint8Array }
  | { readonly type: 'refused'; readonly error: AspenError };

const MESH_ID_CHARACTERS = 64;
const TICKET_ID_CHARACTERS = 64;

export function encodeAdmissionRequest(request: AdmissionRequest): Uint8Array {
  return encode('proof' in request ? { ...request, proof: proofToWire(request.proof) } : request);
}

/** @returns as many entries, from the first, as one message carries; at least one where there is one. */
export function fitting(entries: readonly Uint8Array[]): readonly Uint8Array[] {
  let bytes = 0;
  const end = entries.findIndex((entry) => {
    bytes += entry.length;
    return bytes > ROOT_ENTRY_BYTES_LIMIT;
  });
  return end < 0 ? entries : entries.slice(0, Math.max(1, end));
}

export function encodeAdmissionAnswer(answer: AdmissionAnswer): Uint8Array {
  if (answer.type === 'refused') return encode({ type: 'refused', error: toWireError(answer.error) });
  return encode('proof' in answer ? { ...answer, proof: proofToWire(answer.proof) } : answer);
}

/** @throws AspenError DENIED when it is none, whatever the bytes are. */
export function decodeAdmissionRequest(bytes: Uint8Array): AdmissionRequest {
  const { type, meshId, certificate, proof, from, entries, ticketId, secret, sealingKey } = fields(bytes);
  if (typeof meshId === 'string' && meshId.length <= MESH_ID_CHARACTERS) {
    if (type === 'hello') return { type, meshId };
    if (type === 'certificate' && certificate instanceof Uint8Array)
      return { type, meshId, certificate, proof: readProof(proof) };
    if (type === 'roots' && Number.isSafeInteger(from) && areEntries(entries))
      return { type, meshId, from: from as number, entries };
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
  const { type, certificate, proof: foreignProof, issued, entries, revocation, error } = fields(bytes);
  const proof = readProof(foreignProof);
  if (type === 'refused') return { type, error: fromWireError(error) };
  if (type === 'hello' && certificate instanceof Uint8Array) return { type, certificate, proof };
  if (type === 'admitted' && certificate instanceof Uint8Array) {
    if (issued === null || issued instanceof Uint8Array) return { type, certificate, proof, issued };
  }
  if (type === 'roots' && areEntries(entries)) return { type, entries };
  if (type === 'revoked' && revocation instanceof Uint8Array) return { type, revocation };
  throw new AspenError('DENIED', 'the admission answer is malformed');
}

function fields(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > ADMISSION_BYTES_LIMIT)
    throw new AspenError('DENIED', 'the admission message is too long');
  try {
    const value = decodeForeign(bytes);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch (cause) {
    throw new AspenError('DENIED', 'the admission message is not MessagePack', { cause });
  }
}

function areEntries(value: unknown): value is Uint8Array[] {
  return Array.isArray(value) && value.every((entry) => entry instanceof Uint8Array);
}

function isTicketId(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TICKET_ID_CHARACTERS;
}
