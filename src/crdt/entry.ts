import { hash48Bytes, type PeerId } from '../base/index.ts';
import { compareTime, type HlcTime, isHlcTime } from './hlc.ts';

/** One key of one owner, as signed by the owner. */
export interface Entry extends HlcTime {
  readonly owner: PeerId;
  /** Which life of the owner wrote it: a node draws a new one at first start and after a restore. */
  readonly incarnation: string;
  readonly key: string;
  /** undefined: deleted (a tombstone). */
  readonly value: Uint8Array | undefined;
  /** Ed25519 over {@link signedBytes}, 64 bytes. */
  readonly signature: Uint8Array;
}

export type UnsignedEntry = Omit<Entry, 'signature'>;

/** Where an entry belongs: a space of one mesh. What is signed for one place means nothing in another. */
export interface SpaceName {
  /** The mesh. */
  readonly scope: string;
  readonly space: string;
}

const LABEL = 'aspen registry entry v1';
export const OWNER_LENGTH_LIMIT = 128;
export const KEY_LENGTH_LIMIT = 128;
export const INCARNATION_LENGTH_LIMIT = 64;
const SIGNATURE_BYTES = 64;

/** @returns what the owner signs: one line of JSON, which has one form only for strings and whole numbers. */
export function signedBytes({ scope, space }: SpaceName, entry: UnsignedEntry): Uint8Array {
  const { owner, incarnation, key, value, wallMs, counter } = entry;
  const hex = value === undefined ? null : Buffer.from(value).toString('hex');
  const fields = [scope, space, owner, incarnation, key, wallMs, counter, hex];
  return Buffer.from(`${LABEL}\n${JSON.stringify(fields)}`);
}

/** A total order on versions of one key: the later one wins, and where an owner signed two at one moment all replicas pick the same. */
export function compareEntries(left: Entry, right: Entry): number {
  return compareTime(left, right) || Buffer.compare(left.signature, right.signature);
}

/** Stands for the entry in digests: a signature covers all of it, so equal marks mean equal entries (but for chance, 1 in 2^48). */
export function markOf({ signature }: Pick<Entry, 'signature'>): number {
  return mark48(signature);
}

/** @returns a whole number, 0 <= n < 2^48. */
export function mark48(bytes: Uint8Array): number {
  return hash48Bytes(bytes, 0, 0x5bd1e995);
}

/** An entry as it travels and is stored: a list is half as long as a map. */
export type WireEntry = readonly [
  owner: string,
  incarnation: string,
  key: string,
  value: Uint8Array | null,
  wallMs: number,
  counter: number,
  signature: Uint8Array,
];

export function toWire({ owner, incarnation, key, value, wallMs, counter, signature }: Entry): WireEntry {
  return [owner, incarnation, key, value ?? null, wallMs, counter, signature];
}

/** @returns the entry; undefined when the foreign value has not its shape. Says nothing about its signature. */
export function fromWire(foreign: unknown): Entry | undefined {
  if (!Array.isArray(foreign) || foreign.length !== 7) return undefined;
  const [owner, incarnation, key, value, wallMs, counter, signature] = foreign as unknown[];
  if (!isText(owner, OWNER_LENGTH_LIMIT) || !isText(key, KEY_LENGTH_LIMIT)) return undefined;
  if (!isText(incarnation, INCARNATION_LENGTH_LIMIT) || !isHlcTime(wallMs, counter)) return undefined;
  if (value !== null && !(value instanceof Uint8Array)) return undefined;
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) return undefined;
  return {
    owner: owner as PeerId,
    incarnation,
    key,
    value: value ?? undefined,
    wallMs: wallMs as number,
    counter: counter as number,
    signature,
  };
}

export function isText(value: unknown, lengthLimit: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= lengthLimit;
}
