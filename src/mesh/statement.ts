import { type Crypto, decodeForeignOrUndefined } from '../base/index.ts';

/** A field of a signed statement. */
export type StatementField = string | number | null | Uint8Array;

/**
 * The bytes that a signature covers: a label that keeps one kind of statement from passing for another, and the fields as a JSON
 * array with bytes in hexadecimal. JSON of strings and whole numbers has one form only, in every version of every engine, which
 * cannot be said of MessagePack.
 */
export function statementBytes(label: string, fields: readonly StatementField[]): Uint8Array {
  const plain = fields.map((field) =>
    field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field,
  );
  return new TextEncoder().encode(`${label}\n${JSON.stringify(plain)}`);
}

/** Signs as whoever holds `seed`. */
export function signStatement(
  crypto: Crypto,
  seed: Uint8Array,
  label: string,
  fields: readonly StatementField[],
): Uint8Array {
  return crypto.sign(seed, statementBytes(label, fields));
}

/** @returns a plain object out of foreign bytes (or a foreign value already decoded); undefined when it is none. */
export function foreignRecord(
  foreign: unknown,
  bytesLimit: number,
): Readonly<Record<string, unknown>> | undefined {
  const value = foreign instanceof Uint8Array ? decodedWithin(foreign, bytesLimit) : foreign;
  const isRecord =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
  return isRecord ? (value as Readonly<Record<string, unknown>>) : undefined;
}

export function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

/** @returns whether it is a time of day as `wallMs` gives it. */
export function isWallMs(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What is no MessagePack is no statement either: the caller names what it expected. */
function decodedWithin(bytes: Uint8Array, bytesLimit: number): unknown {
  return bytes.length > bytesLimit ? undefined : decodeForeignOrUndefined(bytes);
}
