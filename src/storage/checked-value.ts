import { crc32 } from 'node:zlib';
import { type Key, StorageFault } from './store.ts';

/** A CRC-32 behind every stored value. Unit: bytes. */
export const CHECK_BYTES = 4;

/** The engine keeps arrays of up to so many bytes among its objects; a view makes it move one out, which takes five times as long as a copy. */
const ON_HEAP_BYTES = 64;
const copyOfBytes = Uint8Array.prototype.slice;

/**
 * C1: what is stored is the value and then a checksum over its key and itself, so a changed byte, a value cut short and a value in another
 * key's place are all noticed. CRC-32 catches every burst of up to 32 bits, and one of 2^32 other changes goes through.
 */
export function sealValue(key: Key, value: Uint8Array): Uint8Array {
  const stored = Buffer.allocUnsafe(value.length + CHECK_BYTES);
  stored.set(value);
  stored.writeUInt32BE(checkOf(key, value), value.length);
  return stored;
}

/** @returns the value without its checksum; it may be a view of `stored`. @throws StorageFault `damaged`, naming the key. */
export function openValue(key: Key, stored: Uint8Array): Uint8Array {
  const value = genuineValue(key, stored);
  if (value !== undefined) return value;
  throw new StorageFault('damaged', `the value stored under ${readableKey(key)} does not match its checksum`);
}

/** Whether `stored` was written under `key` and is as it was written. */
export function isSealed(key: Key, stored: Uint8Array): boolean {
  return genuineValue(key, stored) !== undefined;
}

/** Every read passes here. @returns undefined for what was not written under this key. */
function genuineValue(key: Key, stored: Uint8Array): Uint8Array | undefined {
  const end = stored.length - CHECK_BYTES;
  if (end < 0) return undefined;
  const told =
    ((stored[end] as number) << 24) |
    ((stored[end + 1] as number) << 16) |
    ((stored[end + 2] as number) << 8) |
    (stored[end + 3] as number);
  const value = stored.length <= ON_HEAP_BYTES ? copyOfBytes.call(stored, 0, end) : stored.subarray(0, end);
  return told >>> 0 === checkOf(key, value) ? value : undefined;
}

function checkOf(key: Key, value: Uint8Array): number {
  return crc32(value, crc32(key));
}

/** Keys hold binary numbers; a message holds letters and hex. Cut where it grows long. */
export function readableKey(key: Key): string {
  const shown = key
    .slice(0, 80)
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${shown}"${key.length > 80 ? '...' : ''}`;
}
